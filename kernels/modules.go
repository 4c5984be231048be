package kernels

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
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

// Lists are the modules that a VM needs before its root is there: the bus, the
// root and the network, then those of the agent's stream and of disks, of which
// the guest loads the lists for the devices that it has. Each module costs boot time, so
// that whatever can be loaded from the root is not here. Kernels without IPv6
// or vsock are fine.
var Lists = []ModuleList{
	{Name: "load", Required: []string{"virtio_pci", "virtiofs", "virtio_net"}, Optional: []string{"ipv6"}},
	{Name: "load.virtio-serial", Required: []string{"virtio_console"}},
	{Name: "load.vsock", Optional: []string{vsockDriver}},
	{Name: "load.disk", Optional: []string{"virtio_blk", "ext4"}},
}

// MissingModuleError says that a kernel lacks a module that a VM needs.
type MissingModuleError struct{ Name string }

func (e *MissingModuleError) Error() string {
	return fmt.Sprintf("the kernel has no %s, neither built in (modules.builtin) nor as a module (modules.dep)", e.Name)
}

// moduleIndex is what depmod knows about the modules of one kernel.
type moduleIndex struct {
	files   map[string]string   // name -> path within the modules' folder
	needs   map[string][]string // path -> paths, the last to be loaded first
	builtin map[string]bool     // names
}

// readModuleIndex reads modules.dep and modules.builtin of a kernel's modules
// folder; their formats are those of modules.dep(5).
func readModuleIndex(dir fs.FS) (*moduleIndex, error) {
	dep, err := fs.ReadFile(dir, "modules.dep")
	if err != nil {
		return nil, err
	}
	// A kernel without loadable modules may have no list of built-in ones.
	builtin, err := fs.ReadFile(dir, "modules.builtin")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	x := &moduleIndex{files: map[string]string{}, needs: map[string][]string{}, builtin: map[string]bool{}}
	s := bufio.NewScanner(bytes.NewReader(dep))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		file, needs, ok := strings.Cut(s.Text(), ":")
		if !ok {
			continue
		}
		for _, name := range append(strings.Fields(needs), file) {
			if !fs.ValidPath(name) {
				return nil, fmt.Errorf("modules.dep lists %q, which is not a path below it", name)
			}
		}
		x.files[moduleName(file)] = file
		x.needs[file] = strings.Fields(needs)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("modules.dep: %w", err)
	}
	for line := range strings.Lines(string(builtin)) {
		x.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return x, nil
}

// has says whether the kernel has the module, as one or built in.
func (x *moduleIndex) has(name string) bool {
	name = moduleName(name)
	return x.builtin[name] || x.files[name] != ""
}

// loadOrder returns the files of the list's modules and of all that they need,
// each after what it needs, without those in seen, which it adds to.
func (x *moduleIndex) loadOrder(list ModuleList, seen map[string]bool) ([]string, error) {
	var (
		order []string
		visit func(file string)
	)
	visit = func(file string) {
		if seen[file] {
			return // also ends a cycle
		}
		seen[file] = true
		for _, need := range slices.Backward(x.needs[file]) {
			if !x.builtin[moduleName(need)] {
				visit(need)
			}
		}
		order = append(order, file)
	}
	for i, name := range slices.Concat(list.Required, list.Optional) {
		name = moduleName(name)
		file, ok := x.files[name]
		switch {
		case x.builtin[name]:
		case ok:
			visit(file)
		case i < len(list.Required):
			return nil, &MissingModuleError{Name: name}
		}
	}
	return order, nil
}

// moduleName is a module's name as the kernel has it: without folder and
// suffixes, and with underscores, whatever the file is called.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
