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

// Modules that a VM needs before its root is there: the bus, the agent's
// stream, the root and the network. Each one costs boot time, so that whatever
// can be loaded from the root is not here.
var (
	RequiredModules = []string{"virtio_pci", "virtio_console", "virtiofs", "virtio_net"}
	// OptionalModules are taken when the kernel has them as modules. Kernels
	// without IPv6 are fine.
	OptionalModules = []string{"ipv6"}
)

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

// loadOrder returns the files of the named modules and of all that they need,
// each after what it needs.
func (x *moduleIndex) loadOrder(required, optional []string) ([]string, error) {
	var (
		order []string
		seen  = map[string]bool{}
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
	for i, name := range slices.Concat(required, optional) {
		name = moduleName(name)
		file, ok := x.files[name]
		switch {
		case x.builtin[name]:
		case ok:
			visit(file)
		case i < len(required):
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
