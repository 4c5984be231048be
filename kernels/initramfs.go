package kernels

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/runcvm/runcvm/engine/plan"
)

// initramfsFormat changes when the builder makes something else of the same
// inputs.
const initramfsFormat = "4"

// allFormats are how the names of modules end that can be read.
var allFormats = []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"}

// maxModule bounds a decompressed module in bytes: an image may bring its own.
const maxModule = 64 << 20

// Paths within the initramfs.
const (
	initPath    = "init"
	modulesPath = "modules" // modules, and lists of their file names, one a line
)

// InitramfsOptions are the inputs of an initramfs.
type InitramfsOptions struct {
	// Guest is the runcvm-guest program, which becomes /init.
	Guest []byte
	// Modules is the kernel's modules folder, that which holds modules.dep. A
	// kernel that is not trusted is given as the file system of an os.Root. It
	// is nil for a kernel with everything built in.
	Modules fs.FS
	// Formats is how the names of modules end, in a folder without modules.dep;
	// all that can be read when empty.
	Formats []string
	// Lists name the modules that are taken. One that an earlier list has is not
	// in a later one.
	Lists []ModuleList
}

// Initramfs is what BuildInitramfs has written.
type Initramfs struct {
	Modules []string // file names, in the order of the lists
	// Can is what it drives: its driver is there, or built in.
	Can plan.KernelAbilities
}

// BuildInitramfs writes an uncompressed initramfs (cpio, "newc") to w. The same
// inputs give the same bytes. A required module that the kernel does not have
// gives a MissingModuleError.
func BuildInitramfs(w io.Writer, o InitramfsOptions) (Initramfs, error) {
	var modules moduleSet
	if o.Modules != nil {
		var err error
		if modules, err = readModules(o.Modules, o.Formats, o.Lists); err != nil {
			return Initramfs{}, err
		}
	}
	return writeInitramfs(w, o.Guest, modules)
}

// moduleSet is the modules of an initramfs.
type moduleSet struct {
	lists []listedModules
	can   plan.KernelAbilities // see Initramfs
}

// listedModules are the modules of a list, in load order.
type listedModules struct {
	list  string // its name
	files []moduleFile
}

// moduleFile is a module as its kernel's folder has it.
type moduleFile struct {
	path string // within the modules' folder
	raw  []byte // perhaps compressed
}

// maxModules bounds all modules of an initramfs together, in bytes as they are
// in their folder.
const maxModules = 256 << 20

// readModules reads the modules of the lists and what they need. A file of an
// earlier list is not in a later one.
func readModules(dir fs.FS, formats []string, lists []ModuleList) (moduleSet, error) {
	if len(formats) == 0 {
		formats = allFormats
	}
	var set moduleSet
	index, err := readModuleIndex(dir, formats)
	if err != nil {
		return set, err
	}
	seen, sum := map[string]bool{}, 0
	for _, list := range lists {
		order, err := index.loadOrder(list, seen)
		if err != nil {
			return set, err
		}
		part := listedModules{list: list.Name}
		for _, file := range order {
			raw, err := readBounded(dir, file, maxModule)
			if err != nil {
				return set, fmt.Errorf("module %s: %w", file, err)
			}
			if sum += len(raw); sum > maxModules {
				return set, fmt.Errorf("the modules that a machine needs have more than %d bytes", maxModules)
			}
			part.files = append(part.files, moduleFile{file, raw})
		}
		set.lists = append(set.lists, part)
	}
	set.can = index.drives()
	return set, nil
}

// writeInitramfs writes the archive. Nothing but the guest and the modules is
// in it, each list behind its modules.
func writeInitramfs(w io.Writer, guest []byte, modules moduleSet) (Initramfs, error) {
	a := archive{w: cpio.Newc.Writer(w)}
	for _, dir := range []string{"dev", "etc", modulesPath, "proc", "run", "sbin", "share", "sys", "tmp"} {
		a.add(cpio.Directory(dir, 0o755))
	}
	// The kernel opens /dev/console for init before anything is mounted.
	a.add(cpio.CharDev("dev/console", 0o600, 5, 1))
	a.add(cpio.CharDev("dev/null", 0o666, 1, 3))
	a.add(cpio.StaticRecord(guest, cpio.Info{Name: initPath, Mode: cpio.S_IFREG | 0o755}))
	made := Initramfs{Can: modules.can}
	for _, list := range modules.lists {
		var names []string
		for _, m := range list.files {
			content, err := unpackModule(m.raw)
			if err != nil {
				return made, fmt.Errorf("module %s: %w", m.path, err)
			}
			name := moduleName(m.path) + ".ko"
			names = append(names, name)
			a.add(cpio.StaticFile(path.Join(modulesPath, name), string(content), 0o644))
		}
		a.add(cpio.StaticFile(path.Join(modulesPath, list.list), lines(names), 0o644))
		made.Modules = append(made.Modules, names...)
	}
	return made, a.close()
}

// archive writes records with inode numbers of its own and no times.
type archive struct {
	w    cpio.RecordWriter
	last uint64
	err  error
}

func (a *archive) add(r cpio.Record) {
	if a.err != nil {
		return
	}
	a.last++
	r.Ino, r.MTime, r.UID, r.GID, r.Dev, r.Major, r.Minor = a.last, 0, 0, 0, 0, 0, 0
	r.NLink = 1
	if r.Mode&cpio.S_IFMT == cpio.S_IFDIR {
		r.NLink = 2
	}
	a.err = a.w.WriteRecord(r)
}

func (a *archive) close() error {
	if a.err != nil {
		return a.err
	}
	return cpio.WriteTrailer(a.w)
}

// unpackModule returns a module's content, decompressed.
func unpackModule(raw []byte) ([]byte, error) {
	if len(raw) < len(magicXZ) {
		return nil, io.ErrUnexpectedEOF
	}
	r, done, err := decompressor(raw[:len(magicXZ)], bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	defer done()
	content, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxModule {
		return nil, fmt.Errorf("it has more than %d bytes", maxModule)
	}
	if !bytes.HasPrefix(content, magicELF) {
		return nil, fmt.Errorf("it is not an ELF file")
	}
	return content, nil
}

func lines(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, "\n") + "\n"
}
