package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// diskWait is how long a disk may take to appear after its driver has been
// loaded.
const diskWait = 10 * time.Second

// diskNodesDir, in the initramfs, has the nodes that are mounted elsewhere.
const diskNodesDir = "/disk-nodes"

// makeDiskNode makes the node of a disk. Outside of /dev, where the file system
// may be the host's, to which the guest's numbers mean another device, and over
// what is there, it is mounted.
func (t tree) makeDiskNode(n api.DiskNode) error {
	path, err := findDisk(n.Serial)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	d := n.Device
	d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	if strings.HasPrefix(d.Path, "/dev/") && t.missing(d.Path) {
		return t.makeDevice(d)
	}
	if err := os.MkdirAll(diskNodesDir, 0o755); err != nil {
		return err
	}
	destination := d.Path
	d.Path = n.Serial
	if err := (tree{path: diskNodesDir}).makeDevice(d); err != nil {
		return err
	}
	return t.bind(filepath.Join(diskNodesDir, n.Serial), destination, false, options{})
}

// findDisk returns the device node of the disk with that serial number.
func findDisk(serial string) (string, error) {
	const dir = "/sys/block"
	for deadline := time.Now().Add(diskWait); ; time.Sleep(time.Millisecond) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name(), "serial"))
			if err == nil && strings.TrimSpace(string(text)) == serial {
				return "/dev/" + e.Name(), nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no disk with the serial number %q appeared within %s", serial, diskWait)
		}
	}
}
