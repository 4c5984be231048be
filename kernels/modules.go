package kernels

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// ModuleList is a part of the initramfs's modules, which is loaded as a whole.
type ModuleList struct {
	// Name is the name of the file that lists them in load order.
	Name string
	// Required and Optional are names of modules. Only the first must exist.
	Required, Optional []string
}

// vsockDriver drives a vsock device.
const vsockDriver = "vmw_vsock_virtio_transport"

// mmioDriver drives virtio-mmio.
const mmioDriver = "virtio_mmio"

// Lists are the modules that a VM needs before its root is there: the root and
// the network, then those of the buses, of the agent's stream, of disks, of screens
// and what belongs to them, and of network devices, of which the guest loads the
// lists for the devices that it has; those of memory when that is to change. Each module costs boot time, so that whatever
// can be loaded from the root is not here. Kernels without IPv6, virtio-mmio or
// vsock are fine.
var Lists = []ModuleList{
	{Name: "load", Required: []string{"virtiofs", "virtio_net"}, Optional: []string{"ipv6"}},
	{Name: "load.pci", Required: []string{"virtio_pci"}},
	{Name: "load.mmio", Optional: []string{mmioDriver}},
	{Name: "load.virtio-serial", Required: []string{"virtio_console"}},
	{Name: "load.vsock", Optional: []string{vsockDriver}},
	{Name: "load.disk", Optional: []string{"virtio_blk", "ext4"}},
	{Name: "load.memory", Optional: []string{"virtio_balloon", "virtio_mem"}},
	{Name: "load.input", Optional: []string{"virtio_input", "evdev"}},
	{Name: "load.screen", Optional: []string{"virtio_gpu", "bochs", "cirrus", "cirrus_qemu"}},
	{Name: "load.usb", Optional: []string{"xhci_pci", "usbhid", "hid_generic"}},
	{Name: "load.vmxnet3", Optional: []string{"vmxnet3"}},
	{Name: "load.e1000e", Optional: []string{"e1000e"}},
	{Name: "load.e1000", Optional: []string{"e1000"}},
	{Name: "load.rtl8139", Optional: []string{"8139cp"}},
}

// nicDrivers are the drivers of the network devices other than virtio's, by the
// model, whose list is called "load." and the model.
var nicDrivers = []struct{ model, module string }{
	{"vmxnet3", "vmxnet3"}, {"e1000e", "e1000e"}, {"e1000", "e1000"}, {"rtl8139", "8139cp"},
}

// drives finds out what the kernel drives beside what every machine has.
func (x *moduleIndex) drives() plan.KernelAbilities {
	can := plan.KernelAbilities{Vsock: x.has(vsockDriver), MMIO: x.has(mmioDriver)}
	for _, nic := range nicDrivers {
		if x.has(nic.module) {
			can.NICs = append(can.NICs, nic.model)
		}
	}
	return can
}

// MissingModuleError says that a kernel lacks a module that a VM needs.
type MissingModuleError struct{ Name string }

func (e *MissingModuleError) Error() string {
	return fmt.Sprintf("the kernel has no %s, neither built in (modules.builtin) nor as a module (modules.dep)", e.Name)
}

// CycleError says that modules need each other, so that none can be loaded.
type CycleError struct{ Modules []string }

func (e *CycleError) Error() string {
	return "the modules " + strings.Join(e.Modules, ", ") + " need each other, so that none of them can be loaded"
}

// Bounds of what a modules folder may ask for: it may be an image's.
const (
	maxIndex   = 8 << 20 // bytes of modules.dep and modules.builtin each
	maxLoaded  = 128     // modules in an initramfs
	maxScanned = 20_000  // files in a folder without modules.dep
)

// moduleIndex is what is known about the modules of one kernel.
type moduleIndex struct {
	files   map[string]string // name -> path within the modules' folder
	builtin map[string]bool   // names
	// needs returns the paths that a path needs, the last to be loaded first.
	needs func(file string) ([]string, error)
}

// readModuleIndex reads modules.dep and modules.builtin of a kernel's modules
// folder; their formats are those of modules.dep(5). Without modules.dep, as on
// OpenWrt and in packages that have not been installed, the modules themselves
// are looked at: files whose name ends with one of formats.
func readModuleIndex(dir fs.FS, formats []string) (*moduleIndex, error) {
	x := &moduleIndex{files: map[string]string{}, builtin: map[string]bool{}}
	// A kernel without loadable modules may have no list of built-in ones.
	builtin, err := readBounded(dir, "modules.builtin", maxIndex)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(builtin)) {
		x.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	dep, err := readBounded(dir, "modules.dep", maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return x, x.scan(dir, formats)
	}
	if err != nil {
		return nil, err
	}
	return x, x.parse(dep)
}

func (x *moduleIndex) parse(dep []byte) error {
	needs := map[string][]string{}
	x.needs = func(file string) ([]string, error) { return needs[file], nil }
	s := bufio.NewScanner(bytes.NewReader(dep))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		file, list, ok := strings.Cut(s.Text(), ":")
		if !ok {
			continue
		}
		needs[file] = strings.Fields(list)
		for _, name := range append(needs[file], file) {
			if !fs.ValidPath(name) {
				return fmt.Errorf("modules.dep lists %q, which is not a path below it", name)
			}
		}
		x.files[moduleName(file)] = file
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("modules.dep: %w", err)
	}
	return nil
}

// scan finds modules by their names, and what they need in themselves.
func (x *moduleIndex) scan(dir fs.FS, formats []string) error {
	x.needs = func(file string) ([]string, error) { return x.dependsOf(dir, file) }
	count := 0
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if count++; count > maxScanned {
			return fmt.Errorf("it has more than %d files", maxScanned)
		}
		if !d.IsDir() && slices.ContainsFunc(formats, func(f string) bool { return strings.HasSuffix(name, f) }) {
			x.files[moduleName(name)] = name
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for modules: %w", err)
	}
	return nil
}

// dependsOf reads the names after "depends=" in a module's section .modinfo.
func (x *moduleIndex) dependsOf(dir fs.FS, file string) ([]string, error) {
	raw, err := readBounded(dir, file, maxModule)
	if err != nil {
		return nil, err
	}
	content, err := unpackModule(raw)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	names, err := modinfoDepends(content)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	var needs []string
	for _, name := range names {
		name = moduleName(name)
		if x.builtin[name] {
			continue
		}
		need, ok := x.files[name]
		if !ok {
			return nil, fmt.Errorf("module %s: it needs %s, which is not there", file, name)
		}
		needs = append(needs, need)
	}
	return needs, nil
}

func modinfoDepends(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no section .modinfo: it is not a kernel module")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(entry), "depends="); ok {
			return strings.FieldsFunc(list, func(r rune) bool { return r == ',' }), nil
		}
	}
	return nil, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, err
}

// has says whether the kernel has the module, as one or built in.
func (x *moduleIndex) has(name string) bool {
	name = moduleName(name)
	return x.builtin[name] || x.files[name] != ""
}

// loadOrder returns the files of the list's modules and of all that they need,
// each after what it needs, without those in seen, which it adds to.
func (x *moduleIndex) loadOrder(list ModuleList, seen map[string]bool) ([]string, error) {
	w := &loadWalk{index: x, done: seen}
	for i, name := range slices.Concat(list.Required, list.Optional) {
		name = moduleName(name)
		file, ok := x.files[name]
		switch {
		case x.builtin[name]:
		case ok:
			if err := w.visit(file); err != nil {
				return nil, err
			}
		case i < len(list.Required):
			return nil, &MissingModuleError{Name: name}
		}
	}
	return w.order, nil
}

// loadWalk is a walk of modules by what they need.
type loadWalk struct {
	index *moduleIndex
	order []string
	path  []string // those that are being visited
	done  map[string]bool
}

func (w *loadWalk) visit(file string) error {
	if w.done[file] {
		return nil
	}
	if i := slices.Index(w.path, file); i >= 0 {
		var names []string
		for _, f := range w.path[i:] {
			names = append(names, moduleName(f))
		}
		return &CycleError{names}
	}
	if len(w.order)+len(w.path) >= maxLoaded {
		return fmt.Errorf("the modules that a machine needs are more than %d", maxLoaded)
	}
	w.path = append(w.path, file)
	needs, err := w.index.needs(file)
	if err != nil {
		return err
	}
	for _, need := range slices.Backward(needs) {
		if !w.index.builtin[moduleName(need)] {
			if err := w.visit(need); err != nil {
				return err
			}
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.done[file] = true
	w.order = append(w.order, file)
	return nil
}

// moduleName is a module's name as the kernel has it: without folder and
// suffixes, and with underscores, whatever the file is called.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
