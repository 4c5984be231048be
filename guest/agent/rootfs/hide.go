package rootfs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// hide masks paths, and makes others read-only. A path that does not exist is
// left as it is, as runc does.
func (t tree) hide(masked, readonly []string) error {
	for _, path := range readonly {
		if err := ignoreMissing(t.makeReadOnly(path)); err != nil {
			return fmt.Errorf("make %q read-only: %w", path, err)
		}
	}
	for _, path := range masked {
		if err := ignoreMissing(t.at(path, mask)); err != nil {
			return fmt.Errorf("mask %q: %w", path, err)
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// makeReadOnly puts a read-only view of the place over it.
func (t tree) makeReadOnly(path string) error {
	if err := t.at(path, func(at string) error {
		return unix.Mount(at, at, "", unix.MS_BIND|unix.MS_REC, "")
	}); err != nil {
		return err
	}
	return t.at(path, func(at string) error {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		return unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &attr)
	})
}

// mask covers a file with an empty one, a directory with an empty one.
func mask(path string) error {
	err := unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
	if errors.Is(err, unix.ENOTDIR) {
		return unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY, "size=0,nr_inodes=1")
	}
	return err
}
