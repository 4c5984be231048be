package kernels

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// initramfsFormat changes when the builder makes something else of the same
// inputs.
const initramfsFormat = "2"

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
	// Lists name the modules that are taken. One that an earlier list has is not
	// in a later one.
	Lists []ModuleList
}

// Initramfs is what BuildInitramfs has written.
type Initramfs struct {
	Modules []string // file names, in the order of the lists
	Vsock   bool     // a vsock device works: its driver is there, or built in
}

// BuildInitramfs writes an uncompressed initramfs (cpio, "newc") to w. The same
// inputs give the same bytes. A required module that the kernel does not have
// gives a MissingModuleError.
func BuildInitramfs(w io.Writer, o InitramfsOptions) (Initramfs, error) {
	a := archive{w: cpio.Newc.Writer(w)}
	for _, dir := range []string{"dev", "etc", modulesPath, "proc", "run", "share", "sys", "tmp"} {
		a.add(cpio.Directory(dir, 0o755))
	}
	// The kernel opens /dev/console for init before anything is mounted.
	a.add(cpio.CharDev("dev/console", 0o600, 5, 1))
	a.add(cpio.CharDev("dev/null", 0o666, 1, 3))
	a.add(cpio.StaticRecord(o.Guest, cpio.Info{Name: initPath, Mode: cpio.S_IFREG | 0o755}))
	made, err := a.addModules(o)
	if err != nil {
		return Initramfs{}, err
	}
	return made, a.close()
}

// addModules adds the modules of the lists, each list behind its modules.
func (a *archive) addModules(o InitramfsOptions) (Initramfs, error) {
	if o.Modules == nil {
		return Initramfs{}, nil
	}
	var made Initramfs
	index, err := readModuleIndex(o.Modules)
	if err != nil {
		return made, err
	}
	seen := map[string]bool{}
	for _, list := range o.Lists {
		order, err := index.loadOrder(list, seen)
		if err != nil {
			return made, err
		}
		var names []string
		for _, file := range order {
			content, err := readModule(o.Modules, file)
			if err != nil {
				return made, fmt.Errorf("module %s: %w", file, err)
			}
			name := moduleName(file) + ".ko"
			names = append(names, name)
			a.add(cpio.StaticFile(path.Join(modulesPath, name), string(content), 0o644))
		}
		a.add(cpio.StaticFile(path.Join(modulesPath, list.Name), lines(names), 0o644))
		made.Modules = append(made.Modules, names...)
	}
	made.Vsock = index.has(vsockDriver)
	return made, nil
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

// readModule returns a module's content, decompressed.
func readModule(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 6)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	r, done, err := decompressor(head, io.MultiReader(bytes.NewReader(head), f))
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
