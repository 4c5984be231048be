// Package treeswap replaces a directory that running VMs may have mounted.
//
// A container's mount namespace holds bind mounts of a directory and mounts
// below it. Renaming the directory leaves them intact, but removing it does
// not: the kernel detaches a mount in every other namespace when its mount
// point is removed (since Linux 3.18). A replaced directory that is in use is
// therefore set aside and removed by a later Sweep.
package treeswap

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &st); err != nil {
		return "", "", &os.PathError{Op: "statx", Path: dir, Err: err}
	}
	id := strconv.FormatUint(st.Mnt_id, 10)
	err = eachMount("/proc/self/mountinfo", func(m mountinfo) bool {
		if m.id == id {
			device, path = m.device, filepath.Join(m.root, strings.TrimPrefix(dir, strings.TrimSuffix(m.point, "/")))
		}
		return m.id != id
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
	_ = eachMount(fmt.Sprintf("/proc/%d/mountinfo", pid), func(m mountinfo) bool {
		found = m.device == device && below(m.root, tree)
		return !found
	})
	return found
}

type mountinfo struct{ id, device, root, point string }

// eachMount calls f for each line of a mountinfo file (proc(5)) until f returns
// false.
func eachMount(name string, f func(mountinfo) bool) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) < 5 {
			continue
		}
		if !f(mountinfo{id: fields[0], device: fields[2], root: unescape(fields[3]), point: unescape(fields[4])}) {
			return nil
		}
	}
	return s.Err()
}

// unescape undoes mountinfo's octal escapes of space, tab, newline and
// backslash.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
