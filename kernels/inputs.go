package kernels

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
)

// builtFormat changes when a folder is built differently of the same inputs.
const builtFormat = "2"

// digestPrefix begins a digest, which names a folder.
const digestPrefix = "sha256-"

// maxInitramfs bounds an initramfs that is given, in bytes.
const maxInitramfs = 256 << 20

// Sources are the files that a kernel's folder is built from, in a tree that is
// not trusted.
type Sources struct {
	Tree    *imagefs.Tree
	Image   string
	Modules string   // a folder with modules.dep; empty for a kernel without modules
	Formats []string // how the names of modules end, where modules.dep is missing
	// Initramfs is used as it is; empty to build one from the modules.
	Initramfs string
	Guest     string // the runcvm-guest program, on the host
}

// Digest identifies the content of all that the folder will be built from, and
// says what it can be used for. It also finds out what is missing: a
// MissingModuleError, a CycleError.
func (s *Sources) Digest() (digest string, can plan.KernelAbilities, err error) {
	var head headWriter
	digest, modules, err := s.read(&head, io.Discard)
	can = modules.can
	can.EFI = hasEFIStub(head.bytes)
	return digest, can, err
}

// headWriter keeps the beginning of what is written.
type headWriter struct{ bytes []byte }

func (w *headWriter) Write(p []byte) (int, error) {
	if room := headSize - len(w.bytes); room > 0 {
		w.bytes = append(w.bytes, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// read copies the kernel image to image and a given initramfs to initramfs,
// and reads the modules; the digest is that of what was read.
func (s *Sources) read(image, initramfs io.Writer) (string, moduleSet, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	_ = enc.Encode([]any{builtFormat, initramfsFormat, Lists})
	sum, err := s.copy(image, s.Image, maxImage)
	if err != nil {
		return "", moduleSet{}, err
	}
	_ = enc.Encode(sum)
	if s.Initramfs != "" {
		if sum, err = s.copy(initramfs, s.Initramfs, maxInitramfs); err != nil {
			return "", moduleSet{}, err
		}
		_ = enc.Encode([]string{"initramfs", sum})
		return digestPrefix + hex.EncodeToString(h.Sum(nil)), moduleSet{}, nil
	}
	guest, err := FileDigest(s.Guest)
	if err != nil {
		return "", moduleSet{}, err
	}
	_ = enc.Encode(guest)
	modules, err := s.modules()
	if err != nil {
		return "", moduleSet{}, err
	}
	for _, list := range modules.lists {
		for _, m := range list.files {
			sum := sha256.Sum256(m.raw)
			_ = enc.Encode([]any{m.path, sum[:]})
		}
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil)), modules, nil
}

func (s *Sources) modules() (moduleSet, error) {
	if s.Modules == "" {
		return moduleSet{}, nil
	}
	dir := s.Tree.Sub(s.Modules, maxModule)
	modules, err := readModules(dir, s.Formats, Lists)
	if err != nil {
		return modules, fmt.Errorf("the modules in %s: %w", s.Modules, err)
	}
	return modules, nil
}

// copy copies a file of the tree and returns its sha256 in hex.
func (s *Sources) copy(w io.Writer, name string, limit int64) (string, error) {
	f, err := s.Tree.OpenFile(name, limit)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: imagefs.ErrTooLarge}
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// OfImage looks for the kernel of a container's image below root. It returns
// nil for an image without one; what looks like one and cannot boot is in the
// list, with the reason.
func OfImage(root string, places []plan.KernelPlaces, guest string) (*plan.ImageKernel, []plan.UnusableKernel, error) {
	tree, err := imagefs.Open(root)
	if err != nil {
		return nil, nil, fmt.Errorf("look for a kernel in the image: %w", err)
	}
	defer tree.Close()
	found, unusable := Find(tree, places)
	if found == nil {
		return nil, unusable, nil
	}
	s := &Sources{Tree: tree, Image: found.Image, Modules: found.Modules, Formats: found.Formats, Guest: guest}
	digest, can, err := s.Digest()
	if err != nil {
		return nil, append(unusable, plan.UnusableKernel{Path: found.Image, Reason: err.Error()}), nil
	}
	return &plan.ImageKernel{
		Distribution: found.Distribution, Version: found.Version,
		Image: found.Image, Modules: found.Modules, Digest: digest, KernelAbilities: can,
	}, unusable, nil
}

// OfHost looks at files of the host that a profile names as the kernel. What is
// wrong with them is their Problem.
func OfHost(files plan.KernelFiles, guest string) plan.KernelFiles {
	tree, err := imagefs.Open("/")
	if err == nil {
		defer tree.Close()
		err = examineFiles(tree, &files, guest)
	}
	if err != nil {
		files.Version, files.KernelAbilities, files.Digest, files.Problem = "", plan.KernelAbilities{}, "", err.Error()
	}
	return files
}

func examineFiles(tree *imagefs.Tree, files *plan.KernelFiles, guest string) (err error) {
	for _, name := range []string{files.Image, files.Initramfs, files.Modules} {
		if name != "" && (!path.IsAbs(name) || path.Clean(name) != name) {
			return fmt.Errorf("%s is not an absolute path without \"..\"", name)
		}
	}
	if files.Image == "" {
		return errors.New("no kernel image is named")
	}
	if files.Version, err = releaseOf(tree, files.Image); err != nil {
		return fmt.Errorf("%s: %w", files.Image, bare(err))
	}
	if files.Modules != "" {
		info, err := tree.Stat(files.Modules)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", files.Modules)
		}
	}
	s := &Sources{Tree: tree, Image: files.Image, Modules: files.Modules, Initramfs: files.Initramfs, Guest: guest}
	files.Digest, files.KernelAbilities, err = s.Digest()
	return err
}

// bare is a path's error without the path.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
