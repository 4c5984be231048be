// Package elfdeps finds the shared libraries that ELF programs need, within a
// directory that is the root of a file system, by reading the files: nothing of
// the tree is run, and nothing of the host is taken.
//
// It looks where glibc's ld.so does (ld.so(8)): DT_RPATH, DT_RUNPATH, the
// folders of /etc/ld.so.conf, Debian's default folders.
package elfdeps

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is the kernel's own limit on symbolic links in one path.
const maxLinks = 40

// MissingError says that a library is not in the tree.
type MissingError struct {
	Library  string
	NeededBy string
	Searched []string // folders
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s, which %s needs, is in none of %s", e.Library, e.NeededBy, strings.Join(e.Searched, ", "))
}

// Tree is a root of a file system.
type Tree struct {
	root     string
	defaults []string
}

// Open reads the loader's configuration of the tree below root.
func Open(root string) (*Tree, error) {
	t := &Tree{root: root}
	conf, err := t.loaderConf("/etc/ld.so.conf", 0)
	if err != nil {
		return nil, err
	}
	t.defaults = append(conf,
		"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
	return t, nil
}

// loaderConf returns the folders of an ld.so.conf; its includes are globs.
func (t *Tree) loaderConf(name string, depth int) ([]string, error) {
	if depth > 8 {
		return nil, fmt.Errorf("%s: includes are nested too deeply", name)
	}
	_, real, err := t.Resolve(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(t.host(real))
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "include":
			for _, pattern := range fields[1:] {
				included, err := t.includes(name, pattern, depth)
				if err != nil {
					return nil, err
				}
				dirs = append(dirs, included...)
			}
		case path.IsAbs(fields[0]):
			dirs = append(dirs, path.Clean(fields[0]))
		}
	}
	return dirs, nil
}

func (t *Tree) includes(from, pattern string, depth int) ([]string, error) {
	if !path.IsAbs(pattern) {
		pattern = path.Join(path.Dir(from), pattern)
	}
	files, err := filepath.Glob(t.host(pattern))
	if err != nil {
		return nil, fmt.Errorf("%s: include %s: %w", from, pattern, err)
	}
	var dirs []string
	for _, f := range files {
		more, err := t.loaderConf(strings.TrimPrefix(f, strings.TrimSuffix(t.root, "/")), depth+1)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, more...)
	}
	return dirs, nil
}

func (t *Tree) host(name string) string { return filepath.Join(t.root, name) }

// Resolve follows name, a path within the tree, as the kernel would with the
// tree as its root. It returns the symbolic links on the way, each as the path
// of the link itself, and the path without links.
func (t *Tree) Resolve(name string) (links []string, real string, err error) {
	rest := strings.Split(path.Clean("/"+name), "/")
	real = "/"
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			real = path.Dir(real)
			continue
		}
		next := path.Join(real, part)
		st, err := os.Lstat(t.host(next))
		if err != nil {
			return nil, "", err
		}
		if st.Mode()&fs.ModeSymlink == 0 {
			real = next
			continue
		}
		if links = append(links, next); len(links) > maxLinks {
			return nil, "", fmt.Errorf("%s: too many symbolic links", name)
		}
		target, err := os.Readlink(t.host(next))
		if err != nil {
			return nil, "", err
		}
		if path.IsAbs(target) {
			real = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return links, real, nil
}

// Closure returns the named ELF files with their loader and every library that
// they need, at the paths at which ld.so finds them, and each symbolic link on
// the way. The paths are absolute within the tree, without duplicates, sorted.
// Missing libraries are reported all at once.
func (t *Tree) Closure(names ...string) ([]string, error) {
	w := walk{tree: t, found: map[string]bool{}, done: map[string]bool{}}
	for _, name := range names {
		w.add(name, name, nil)
	}
	return slices.Sorted(maps.Keys(w.found)), errors.Join(w.problems...)
}

type walk struct {
	tree     *Tree
	found    map[string]bool // paths of files and links
	done     map[string]bool // paths of files that have been read
	problems []error
}

// add takes a file, and what it needs. inherited are the DT_RPATH folders of
// the files that brought it in.
func (w *walk) add(name, neededBy string, inherited []string) {
	links, real, err := w.tree.Resolve(name)
	if err != nil {
		w.problems = append(w.problems, fmt.Errorf("%s, needed by %s: %w", name, neededBy, err))
		return
	}
	for _, l := range links {
		w.found[l] = true
	}
	w.found[real] = true
	if w.done[real] {
		return
	}
	w.done[real] = true
	o, err := w.tree.read(real)
	if err != nil {
		w.problems = append(w.problems, err)
		return
	}
	if o.interp != "" {
		w.add(o.interp, real, nil)
	}
	// DT_RUNPATH makes ld.so ignore DT_RPATH, and serves the file alone.
	own, passed := o.runpath, inherited
	if len(o.runpath) == 0 {
		passed = slices.Concat(o.rpath, inherited)
		own = passed
	}
	for _, library := range o.needed {
		w.need(library, real, slices.Concat(own, w.tree.defaults), passed, o)
	}
}

func (w *walk) need(library, by string, dirs, inherited []string, o object) {
	if strings.Contains(library, "/") {
		w.add(library, by, inherited)
		return
	}
	for _, dir := range dirs {
		candidate := path.Join(dir, library)
		_, real, err := w.tree.Resolve(candidate)
		if err != nil {
			continue
		}
		// As ld.so does, pass over libraries for another architecture.
		if other, err := w.tree.read(real); err != nil || other.class != o.class || other.machine != o.machine {
			continue
		}
		w.add(candidate, by, inherited)
		return
	}
	w.problems = append(w.problems, &MissingError{Library: library, NeededBy: by, Searched: dirs})
}

// object is what matters of an ELF file.
type object struct {
	class          elf.Class
	machine        elf.Machine
	interp         string
	needed         []string
	rpath, runpath []string
}

// read reads the ELF file at real, a path in the tree without links.
func (t *Tree) read(real string) (object, error) {
	f, err := elf.Open(t.host(real))
	if err != nil {
		return object{}, fmt.Errorf("%s: %w", real, err)
	}
	defer f.Close()
	o := object{class: f.Class, machine: f.Machine}
	if o.interp, err = interpreter(f); err != nil {
		return object{}, fmt.Errorf("%s: %w", real, err)
	}
	if o.needed, err = f.ImportedLibraries(); err != nil {
		return object{}, fmt.Errorf("%s: %w", real, err)
	}
	for tag, list := range map[elf.DynTag]*[]string{elf.DT_RPATH: &o.rpath, elf.DT_RUNPATH: &o.runpath} {
		values, err := f.DynString(tag)
		if err != nil {
			return object{}, fmt.Errorf("%s: %w", real, err)
		}
		for _, v := range values {
			for _, dir := range strings.Split(v, ":") {
				if dir != "" {
					*list = append(*list, expandOrigin(dir, real))
				}
			}
		}
	}
	return o, nil
}

func expandOrigin(dir, file string) string {
	return path.Clean(strings.NewReplacer("${ORIGIN}", path.Dir(file), "$ORIGIN", path.Dir(file)).Replace(dir))
}

// interpreter returns the path of the loader; empty for a library or a static
// program.
func interpreter(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		if p.Filesz > 4096 {
			return "", errors.New("the loader's path is too long")
		}
		buf := make([]byte, p.Filesz)
		if _, err := p.ReadAt(buf, 0); err != nil {
			return "", err
		}
		return strings.TrimRight(string(buf), "\x00"), nil
	}
	return "", nil
}

// Static reports whether the program at name, a path on the host, runs without
// a loader.
func Static(name string) (bool, error) {
	f, err := elf.Open(name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	loader, err := interpreter(f)
	return loader == "", err
}
