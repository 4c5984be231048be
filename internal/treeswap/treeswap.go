// Package treeswap replaces a directory that running VMs may have mounted.
//
// A container's mount namespace holds bind mounts of a directory and mounts
// below it. Renaming the directory leaves them intact, but removing it does
// not: the kernel detaches a mount in every other namespace when its mount
// point is removed (since Linux 3.18). A replaced directory that is in use is
// therefore set aside and removed by a later Sweep.
package treeswap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/mountinfo"
)

// Names of directories beside the target. They begin with a dot so that
// listings of the parent can skip them.
const (
	newPrefix = ".new-"
	oldPrefix = ".old-"
)

// Pattern matches, in the target's folder, the directories that New and Replace
// make (path/filepath.Match).
const Pattern = ".[no][el][wd]-*"

// New makes an empty directory with mode 0755 beside target, to be filled and
// given to Replace.
func New(target string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(target), newPrefix)
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// Replace puts the directory dir, made by New, in target's place in one step:
// target exists at every moment if it did before. What was there is removed,
// unless it is in use. The content is on the disk before it can be seen, so that
// no crash leaves a tree of empty files.
func Replace(dir, target string) error {
	if err := syncFilesystem(dir); err != nil {
		return err
	}
	err := unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, target, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.Rename(dir, target)
	case err != nil:
		return &os.LinkError{Op: "exchange", Old: dir, New: target, Err: err}
	}
	old := filepath.Join(filepath.Dir(dir), oldPrefix+strings.TrimPrefix(filepath.Base(dir), newPrefix))
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	return removeUnused(old)
}

// Remove removes target in one step: it is not there half. The caller knows that
// nobody uses it.
func Remove(target string) error {
	old, err := os.MkdirTemp(filepath.Dir(target), oldPrefix)
	if err != nil {
		return err
	}
	if err := os.Rename(target, filepath.Join(old, filepath.Base(target))); err != nil {
		return errors.Join(err, os.Remove(old))
	}
	return os.RemoveAll(old)
}

func syncFilesystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

// Sweep removes what earlier replacements and interrupted ones left in parent,
// except what is in use.
func Sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) || strings.HasPrefix(e.Name(), oldPrefix) {
			if err := removeUnused(filepath.Join(parent, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeUnused(dir string) error {
	users, err := Users(dir)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return nil
	}
	return os.RemoveAll(dir)
}

// Users returns the processes, in ascending order, in whose mount namespace
// dir, or something below it, is mounted.
func Users(dir string) ([]int, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	device, tree, err := pathInFilesystem(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var users []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if mounts(pid, device, tree) {
			users = append(users, pid)
		}
	}
	return users, nil
}

// pathInFilesystem returns dir as mountinfo would show it: the device, which
// on btrfs is not that of stat(2), and the path from the root of the file
// system, which need not be what is mounted here.
func pathInFilesystem(dir string) (device, path string, err error) {
	id, err := mountinfo.IDOf(dir)
	if err != nil {
		return "", "", err
	}
	err = mountinfo.Each("/proc/self/mountinfo", func(m mountinfo.Mount) bool {
		if m.ID == id {
			device, path = m.Device, filepath.Join(m.Root, strings.TrimPrefix(dir, strings.TrimSuffix(m.Point, "/")))
		}
		return m.ID != id
	})
	if err == nil && device == "" {
		err = fmt.Errorf("%s: its mount %s is not in /proc/self/mountinfo", dir, id)
	}
	return device, path, err
}

// mounts reports whether a process has tree, or something below it, as the
// root of a mount. A process that has ended has none.
func mounts(pid int, device, tree string) bool {
	found := false
	_ = mountinfo.Each(fmt.Sprintf("/proc/%d/mountinfo", pid), func(m mountinfo.Mount) bool {
		found = m.Device == device && below(m.Root, tree)
		return !found
	})
	return found
}

func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
