package storage

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrDeviceInUse says that a block device has another user who wants it alone.
var ErrDeviceInUse = errors.New("the host or another machine uses it, and two that write to it would destroy its content; " +
	"unmount it there, or give it for reading alone (--device PATH:PATH:r)")

// OpenDevice opens a block device of the host. One that is written to is this
// machine's alone until it is closed in every process that has it: neither the
// host nor another machine can mount it or write to it likewise.
func OpenDevice(path string, readOnly bool) (*os.File, error) {
	flags := unix.O_RDWR | unix.O_EXCL // of a block device: claimed
	if readOnly {
		flags = unix.O_RDONLY
	}
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case err == unix.EBUSY:
		return nil, ErrDeviceInUse
	case err == unix.ENOMEDIUM, err == unix.ENXIO:
		return nil, fmt.Errorf("%w: nothing is behind it, as with a loop device without a file", err)
	case err != nil:
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		file.Close()
		return nil, errors.Join(err, errors.New("it is no block device"))
	}
	if size, err := file.Seek(0, 2); err != nil || size == 0 {
		file.Close()
		return nil, errors.Join(err, errors.New("it has no size: nothing is behind it, as with a loop device without a file"))
	}
	return file, nil
}
