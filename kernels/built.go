package kernels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
	"github.com/runcvm/runcvm/internal/treeswap"
)

// maxBuilt is how many folders are kept that were built for a container; each
// has some 60 MB. Those of running machines are kept beyond it.
const maxBuilt = 8

// buildWait bounds the wait for another container that builds a folder.
const buildWait = 2 * time.Minute

// pollInterval is how often a lock that others hold is tried.
const pollInterval = 20 * time.Millisecond

// ErrChanged says that files are not those any more that the plan was made for.
var ErrChanged = errors.New("the files changed after the plan was made")

// Hold keeps a kernel's folder from being removed until release is called. It
// fails with fs.ErrNotExist when there is none.
func Hold(dir string) (release func(), err error) {
	for {
		f, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		if err := flock(f, unix.LOCK_SH); err != nil {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: dir, Err: err}
		}
		// Who removed it, or put another in its place, had the lock until now.
		now, err := os.Stat(dir)
		if err != nil {
			f.Close()
			return nil, err
		}
		if held, err := f.Stat(); err == nil && os.SameFile(held, now) {
			return func() { f.Close() }, nil
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Ensure holds the folder that a plan builds, and builds it when it is missing
// or damaged: several containers may ask for one at the same time. The caller
// calls release when the container has it mounted.
func Ensure(ctx context.Context, k *plan.Kernel, guest string) (release func(), err error) {
	if !strings.HasPrefix(filepath.Base(k.HostDir), digestPrefix) || k.Build == nil {
		return nil, fmt.Errorf("%s is no folder that could be built", k.HostDir)
	}
	if release, err = holdIntact(k.HostDir); err == nil {
		return release, nil
	}
	parent := filepath.Dir(k.HostDir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, buildWait)
	defer cancel()
	unlock, err := lockFolder(ctx, parent)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// Another container may have built it meanwhile.
	if release, err = holdIntact(k.HostDir); err == nil {
		return release, nil
	}
	if err := treeswap.Sweep(parent); err != nil {
		return nil, err
	}
	if err := evict(parent, maxBuilt-1); err != nil {
		return nil, err
	}
	if err := build(ctx, k, guest); err != nil {
		return nil, err
	}
	return holdIntact(k.HostDir)
}

// holdIntact holds a folder whose files are those of its manifest.
func holdIntact(dir string) (release func(), err error) {
	if release, err = Hold(dir); err != nil {
		return nil, err
	}
	if err := Verify(dir); err != nil {
		release()
		return nil, err
	}
	now := time.Now()
	// By its time the least recently used one is found. On a file system that
	// cannot be written, none is built either.
	_ = os.Chtimes(dir, now, now)
	return release, nil
}

func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			select {
			case <-ctx.Done():
				err = fmt.Errorf("wait for the lock of another process: %w", ctx.Err())
			case <-time.After(pollInterval):
				continue
			}
		}
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
}

// evict removes folders, the least recently used first, until keep are left.
// What is in use stays.
func evict(parent string, keep int) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	var dirs []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.IsDir() && strings.HasPrefix(e.Name(), digestPrefix) {
			dirs = append(dirs, info)
		}
	}
	slices.SortFunc(dirs, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	left := len(dirs)
	for _, d := range dirs {
		if left <= keep {
			return nil
		}
		var used *InUseError
		switch err := removeFolder(filepath.Join(parent, d.Name())); {
		case err == nil:
			left--
		case !errors.As(err, &used):
			return err
		}
	}
	return nil
}

// InUseError says that machines use a kernel.
type InUseError struct {
	Dir       string
	Processes []int // in whose containers it is mounted; empty while one is being made
}

func (e *InUseError) Error() string {
	if len(e.Processes) == 0 {
		return e.Dir + " is in use: a container with it is being made"
	}
	return fmt.Sprintf("%s is in use: the processes %v belong to machines that run it; stop their containers first", e.Dir, e.Processes)
}

// removeFolder removes a kernel's folder that nobody uses.
func removeFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return &InUseError{Dir: dir}
	} else if err != nil {
		return &fs.PathError{Op: "lock", Path: dir, Err: err}
	}
	users, err := treeswap.Users(dir)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return &InUseError{Dir: dir, Processes: users}
	}
	return treeswap.Remove(dir)
}

// build makes the folder and puts it in its place.
func build(ctx context.Context, k *plan.Kernel, guest string) error {
	tree, err := imagefs.Open(k.Build.Root)
	if err != nil {
		return fmt.Errorf("look for the kernel: %w", err)
	}
	defer tree.Close()
	dir, err := treeswap.New(k.HostDir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // nothing is there once it has been swapped in
	s := &Sources{
		Tree: tree, Image: k.Build.Image, Modules: k.Build.Modules, Formats: k.Build.Formats,
		Initramfs: k.Build.Initramfs, Guest: guest,
	}
	m := plan.Manifest{Distribution: k.Distribution, Version: k.Version, Package: k.Build.Image, Builder: filepath.Base(k.HostDir)}
	if m.Modules, err = s.fill(dir, m.Builder); err != nil {
		return fmt.Errorf("kernel %s: %w", k.Build.Image, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.Files, err = digests(dir); err != nil {
		return err
	}
	if err := writeManifest(dir, m); err != nil {
		return err
	}
	return treeswap.Replace(dir, k.HostDir)
}

// fill writes what boots and its initramfs into dir, if the sources still have
// that digest. It returns the modules in the initramfs.
func (s *Sources) fill(dir, digest string) ([]string, error) {
	boot, initramfs := filepath.Join(dir, plan.KernelBoot), filepath.Join(dir, plan.KernelInitrd)
	given := io.Discard
	if s.Initramfs != "" {
		f, err := os.OpenFile(initramfs, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		given = f
	}
	var modules moduleSet
	err := create(boot, func(w io.Writer) (err error) {
		var got string
		if got, modules, err = s.read(w, given); err == nil && got != digest {
			err = ErrChanged
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	// EFI firmware starts the bzImage.
	if err := os.Link(boot, filepath.Join(dir, plan.KernelImage)); err != nil {
		return nil, err
	}
	if err := enterDirectly(boot); err != nil {
		return nil, err
	}
	if s.Initramfs != "" {
		return nil, os.Chmod(initramfs, 0o644)
	}
	guest, err := os.ReadFile(s.Guest)
	if err != nil {
		return nil, err
	}
	var made Initramfs
	err = create(initramfs, func(w io.Writer) (err error) {
		made, err = writeInitramfs(w, guest, modules)
		return err
	})
	return made.Modules, err
}

// enterDirectly replaces a bzImage by the ELF image within, when that can be
// entered without the bzImage's decompressor.
func enterDirectly(boot string) error {
	elf := boot + ".elf"
	if err := extractTo(boot, elf); err != nil {
		return err
	}
	ok, err := isPVH(elf)
	if err != nil {
		return err
	}
	if !ok {
		return os.Remove(elf)
	}
	return os.Rename(elf, boot)
}

func isPVH(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	ok, err := HasPVH(f)
	if err != nil {
		return false, fmt.Errorf("the kernel's ELF image is damaged: %w", err)
	}
	return ok, nil
}
