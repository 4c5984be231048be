package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/testkit"
)

// TestDevicesThatComeAndGo makes and removes nodes in a root that is in use.
func TestDevicesThatComeAndGo(t *testing.T) {
	testkit.Require(t, testkit.Root)
	defer unix.Umask(unix.Umask(0))
	root, outside := layOut(t)
	mode := os.FileMode(0o666)
	null := api.Device{Path: "/dev/dri/card0", Type: "c", Major: 1, Minor: 3, FileMode: &mode}
	zero := null
	zero.Minor = 5
	disk := null
	disk.Type = "b"
	path := filepath.Join(root, null.Path)

	if err := RemoveDevice(root, null); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
	for range 2 { // the second finds it
		if err := MakeDevice(root, null); err != nil {
			t.Fatal(err)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode != unix.S_IFCHR|0o666 || st.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("mode %o, device %#x, %v", st.Mode, st.Rdev, err)
	}
	for _, other := range []api.Device{zero, disk} {
		if err := MakeDevice(root, other); !errors.Is(err, unix.EEXIST) {
			t.Errorf("in the place of another: %v", err)
		}
		if err := RemoveDevice(root, other); err != nil {
			t.Errorf("remove another: %v", err)
		}
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the device's own node: %v", err)
	}
	if err := RemoveDevice(root, null); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after its removal: %v", err)
	}

	// Links lead nowhere but into the root.
	null.Path = "/up/node"
	if err := MakeDevice(root, null); err != nil {
		t.Error(err)
	}
	if found, err := os.ReadDir(outside); err != nil || len(found) > 0 {
		t.Errorf("outside of the root: %v, %v", found, err)
	}
}
