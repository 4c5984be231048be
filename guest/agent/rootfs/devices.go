package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// node is a device node by its Linux numbers.
type node struct {
	name         string
	major, minor uint32
}

// The nodes and links that the OCI runtime specification asks for.
// https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-devices
var (
	defaultNodes = []node{
		{"null", 1, 3},
		{"zero", 1, 5},
		{"full", 1, 7},
		{"random", 1, 8},
		{"urandom", 1, 9},
		{"tty", 5, 0},
	}
	defaultLinks = [][2]string{
		{"ptmx", "pts/ptmx"},
		{"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},
		{"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
		{"core", "/proc/kcore"},
	}
)

// populateDev fills the container's /dev.
func (t tree) populateDev() error {
	dev, err := t.open("/dev")
	if err != nil {
		return err
	}
	defer dev.close()
	for _, n := range defaultNodes {
		err := makeNode(dev.fd, n.name, unix.S_IFCHR|0o666, unix.Mkdev(n.major, n.minor), 0, 0)
		if err != nil {
			return fmt.Errorf("make /dev/%s: %w", n.name, err)
		}
	}
	for _, l := range defaultLinks {
		if err := unix.Symlinkat(l[1], dev.fd, l[0]); err != nil && err != unix.EEXIST {
			return fmt.Errorf("make /dev/%s: %w", l[0], err)
		}
	}
	return nil
}

// MakeDevice makes a node in a root that is built. One of another device that is
// there stays, and is an error. The caller's umask is 0.
func MakeDevice(root string, d api.Device) error {
	t := tree{path: root}
	if err := t.makeDevice(d); err != nil {
		return err
	}
	parent, there, err := t.findDevice(d)
	if err != nil {
		return err
	}
	parent.close()
	if !there {
		return &os.PathError{Op: "mknod", Path: d.Path, Err: unix.EEXIST}
	}
	return nil
}

// RemoveDevice removes the node of a device from a root. What else has its path
// stays.
func RemoveDevice(root string, d api.Device) error {
	parent, there, err := tree{path: root}.findDevice(d)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.close()
	if !there {
		return nil
	}
	return unix.Unlinkat(parent.fd, filepath.Base(d.Path), 0)
}

// findDevice opens the folder of a device's node, and says whether the node is
// there.
func (t tree) findDevice(d api.Device) (parent place, there bool, err error) {
	if parent, err = t.open(filepath.Dir(filepath.Join("/", d.Path))); err != nil {
		return place{}, false, err
	}
	var st unix.Stat_t
	err = unix.Fstatat(parent.fd, filepath.Base(d.Path), &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		parent.close()
		return place{}, false, err
	}
	kind := uint32(unix.S_IFCHR)
	if d.Type == "b" {
		kind = unix.S_IFBLK
	}
	return parent, err == nil && st.Mode&unix.S_IFMT == kind && st.Rdev == unix.Mkdev(uint32(d.Major), uint32(d.Minor)), nil
}

// makeDevice makes a node that the configuration asks for.
func (t tree) makeDevice(d api.Device) error {
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(d.FileMode.Perm())
	}
	switch d.Type {
	case "c", "u":
		mode |= unix.S_IFCHR
	case "b":
		mode |= unix.S_IFBLK
	case "p":
		mode |= unix.S_IFIFO
	default:
		return fmt.Errorf("%q is not a type of device (c, u, b or p)", d.Type)
	}
	var uid, gid uint32
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	parent, err := t.ensure(filepath.Dir(filepath.Join("/", d.Path)), true)
	if err != nil {
		return err
	}
	defer parent.close()
	return makeNode(parent.fd, filepath.Base(d.Path), mode, unix.Mkdev(uint32(d.Major), uint32(d.Minor)), uid, gid)
}

// makeNode makes a node with exactly these permissions. One that exists stays
// as it is.
func makeNode(dir int, name string, mode uint32, dev uint64, uid, gid uint32) error {
	err := unix.Mknodat(dir, name, mode, int(dev))
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	if uid == 0 && gid == 0 {
		return nil
	}
	return unix.Fchownat(dir, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW)
}

// BindConsole binds the terminal at the path onto /dev/console. Both are paths
// of the root that the caller has entered.
func BindConsole(terminal string) error {
	fd, err := unix.Open("/dev/console", unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_RDONLY|unix.O_NONBLOCK, 0o666)
	if err != nil {
		return fmt.Errorf("make /dev/console: %w", err)
	}
	_ = unix.Close(fd)
	if err := unix.Mount(terminal, "/dev/console", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind /dev/console: %w", err)
	}
	return nil
}
