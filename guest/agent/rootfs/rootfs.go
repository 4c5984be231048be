// Package rootfs makes the container's root file system in the guest: the
// image, the mounts and /dev. It runs in the process that becomes the
// container's first, in its PID and mount namespaces, with a /proc that shows
// that process.
package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// Config says what to make.
type Config struct {
	Share    string       `json:"share"` // where the share is mounted
	Root     string       `json:"root"`  // an empty directory: where the root is put together
	ReadOnly bool         `json:"read_only,omitempty"`
	Mounts   []api.Mount  `json:"mounts,omitempty"`
	Devices  []api.Device `json:"devices,omitempty"`

	DiskNodes []api.DiskNode `json:"disk_nodes,omitempty"`

	MaskedPaths   []string `json:"masked_paths,omitempty"`
	ReadonlyPaths []string `json:"readonly_paths,omitempty"`

	Cgroupfs *api.Cgroupfs `json:"cgroupfs,omitempty"`
}

// MountShare mounts the virtiofs share with the tag at dir, which it makes.
func MountShare(tag, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(tag, dir, "virtiofs", 0, ""); err != nil {
		return fmt.Errorf("mount the virtiofs share %q: %w", tag, err)
	}
	return nil
}

// Build puts the root together at c.Root. Errors name the mount that failed.
// The caller's umask is 0.
func Build(c Config) error {
	if err := os.MkdirAll(c.Root, 0o755); err != nil {
		return err
	}
	aside := c.Root + "-cgroup"
	prepared := prepareCgroups(c.Cgroupfs, aside)
	image := filepath.Join(c.Share, api.RootDir)
	if err := unix.Mount(image, c.Root, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount the image's root: %w", err)
	}
	t := tree{path: c.Root}
	for _, m := range c.Mounts {
		if err := t.mount(c.Share, m); err != nil {
			return fmt.Errorf("mount %q (%s): %w", m.Destination, m.Type, err)
		}
	}
	if OwnsDev(c.Mounts) {
		if err := t.populateDev(); err != nil {
			return err
		}
	}
	for _, d := range c.Devices {
		if err := t.makeDevice(d); err != nil {
			return fmt.Errorf("make the device %q: %w", d.Path, err)
		}
	}
	for _, n := range c.DiskNodes {
		if err := t.makeDiskNode(n); err != nil {
			return fmt.Errorf("make the disk's node %q: %w", n.Device.Path, err)
		}
	}
	if err := t.placeCgroups(<-prepared, aside); err != nil {
		return err
	}
	if err := t.hide(c.MaskedPaths, c.ReadonlyPaths); err != nil {
		return err
	}
	if c.ReadOnly {
		if err := remount(c.Root, unix.MS_RDONLY); err != nil {
			return fmt.Errorf("remount the root read-only: %w", err)
		}
	}
	return nil
}

// OwnsDev says whether /dev is a file system of the container's own, to be
// filled by us: a volume there is the user's.
func OwnsDev(mounts []api.Mount) bool {
	owns := false
	for _, m := range mounts {
		if filepath.Clean(m.Destination) == "/dev" {
			owns = m.Type == "tmpfs" || m.Type == "devtmpfs"
		}
	}
	return owns
}

// Enter makes dir the root of the caller's mount namespace and of the caller.
// The file systems of the guest's own root are taken out of the namespace.
//
// A file system root that is the kernel's rootfs cannot be pivoted away, so the
// new root is moved over it. Nothing leads below it: ".." stops at a mount that
// covers the root of the first one.
func Enter(dir, share string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	for _, own := range []string{share, "/sys", "/dev", "/proc"} {
		_ = unix.Unmount(own, unix.MNT_DETACH)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	return os.Chdir("/")
}

// remount sets flags of a mount beside those that it has.
func remount(path string, flags uintptr) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return err
	}
	// ST_* and MS_* have the same values for these.
	const kept = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	flags |= uintptr(st.Flags) & kept
	return unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}

// volumeSource is the path of an entry of the share's volumes.
func volumeSource(share, name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("%q is not the name of a volume", name)
	}
	return filepath.Join(share, api.VolumesDir, name), nil
}
