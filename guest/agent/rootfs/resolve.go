package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// tree is the root under construction. Every path of the image is resolved
// within it: neither "..", nor an absolute symbolic link, leaves it.
type tree struct {
	path string
}

// place is an open place in the tree, good for one mount.
type place struct {
	fd int
}

func (p place) close() { _ = unix.Close(p.fd) }

// path names the place for system calls that take a path.
func (p place) path() string { return "/proc/self/fd/" + strconv.Itoa(p.fd) }

func (p place) mode() (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstat(p.fd, &st)
	return st.Mode, err
}

// open opens what stands at the path of the image, without a right to read or
// write it.
func (t tree) open(path string) (place, error) {
	root, err := unix.Open(t.path, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
	if err != nil {
		return place{}, &os.PathError{Op: "open", Path: t.path, Err: err}
	}
	defer unix.Close(root)
	return openAt(root, filepath.Join("/", path), path)
}

func openAt(dir int, name, shown string) (place, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		// EAGAIN: a rename elsewhere raced with "..".
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return place{}, &os.PathError{Op: "open", Path: shown, Err: err}
		}
		return place{fd}, nil
	}
}

// missing says that nothing stands at the path.
func (t tree) missing(path string) bool {
	p, err := t.open(path)
	if err == nil {
		p.close()
	}
	return errors.Is(err, unix.ENOENT)
}

// ensure opens the path and makes it when it is missing: a directory, or an
// empty file, below directories that are made too. What exists stays as it is.
func (t tree) ensure(path string, dir bool) (place, error) {
	p, err := t.open(path)
	if !errors.Is(err, unix.ENOENT) {
		return p, err
	}
	// The link that leads to the missing place may be dangling: go where it
	// points, within the root.
	joined, err := securejoin.SecureJoin(t.path, path)
	if err != nil {
		return place{}, err
	}
	rel := strings.Trim(strings.TrimPrefix(joined, t.path), "/")
	if rel == "" {
		return t.open("/")
	}
	at, err := t.open("/")
	if err != nil {
		return place{}, err
	}
	names := strings.Split(rel, "/")
	for i, name := range names {
		next, err := descend(at, name, dir || i < len(names)-1)
		at.close()
		if err != nil {
			return place{}, fmt.Errorf("make %q: %w", path, err)
		}
		at = next
	}
	return at, nil
}

// descend opens the entry of a directory and makes it when it is missing.
func descend(at place, name string, dir bool) (place, error) {
	var err error
	if dir {
		err = unix.Mkdirat(at.fd, name, 0o755)
	} else {
		var fd int
		fd, err = unix.Openat(at.fd, name, unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		if err == nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil && err != unix.EEXIST {
		return place{}, err
	}
	fd, err := unix.Openat(at.fd, name, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return place{}, err
	}
	return place{fd}, nil
}
