package rootfs

import (
	"errors"
	"fmt"
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

// MakeDevice makes a node in a root that is built.
func MakeDevice(root string, d api.Device) error { return tree{path: root}.makeDevice(d) }

// RemoveDevice removes a node of a root, if it is there.
func RemoveDevice(root, path string) error {
	parent, err := tree{path: root}.open(filepath.Dir(path))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.close()
	if err := unix.Unlinkat(parent.fd, filepath.Base(path), 0); err != nil && err != unix.ENOENT {
		return err
	}
	return nil
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
