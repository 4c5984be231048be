package initd

import (
	"maps"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/testkit"
)

// TestEventOfADevice reads a message as the kernel sends it.
func TestEventOfADevice(t *testing.T) {
	const path = "/devices/pci0000:00/0000:00:10.0/0000:01:00.0/nvme/nvme0/nvme0n1"
	event := parseEvent([]byte("add@" + path + "\x00ACTION=add\x00DEVPATH=" + path + "\x00MAJOR=259\x00DEVNAME=nvme0n1\x00EMPTY=\x00SEQNUM=1"))
	want := map[string]string{"ACTION": "add", "DEVPATH": path, "MAJOR": "259", "DEVNAME": "nvme0n1", "EMPTY": "", "SEQNUM": "1"}
	if !maps.Equal(event, want) {
		t.Errorf("got %v, want %v", event, want)
	}
	p := newPassed(nil, []int{0x10, 0x1b})
	for path, want := range map[string]bool{
		path: true,
		"/devices/pci0000:00/0000:00:1b.0/0000:02:00.0": true,
		"/devices/pci0000:00/0000:00:10.0":              false, // the port itself
		"/devices/pci0000:00/0000:00:11.0/0000:01:00.0": false,
		"/devices/virtual/block/loop0":                  false,
		"":                                              false,
		"/devices/pci0000:00/0000:00:10.0/../../../proc/self/root/x": false,
		"/devices/pci0000:00/0000:00:10.0/0000:01:00.0/":             false,
	} {
		if p.has(path) != want {
			t.Errorf("%s is a passed device's: %t", path, !want)
		}
	}
}

// TestEventFromElsewhere sends what looks like an event of the kernel's.
func TestEventFromElsewhere(t *testing.T) {
	testkit.Require(t, testkit.Root)
	testkit.NewNamespace(t).Run(func() error {
		fd, err := listenForEvents()
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		sender, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
		if err != nil {
			return err
		}
		defer unix.Close(sender)
		message := []byte("add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/x\x00")
		if err := unix.Sendto(sender, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
			return err
		}
		if event, err := nextEvent(fd, make([]byte, 4096)); event != nil || err != nil {
			t.Errorf("taken: %v, %v", event, err)
		}
		return nil
	})
}

func TestNodeOfADevice(t *testing.T) {
	mode := func(m os.FileMode) *os.FileMode { return &m }
	for _, test := range []struct {
		subsystem  string
		properties map[string]string
		want       api.Device
		fails      bool
	}{
		{"drm", map[string]string{"MAJOR": "226", "MINOR": "128", "DEVNAME": "dri/renderD128", "DEVMODE": "0666"}, api.Device{Path: "/dev/dri/renderD128", Type: "c", Major: 226, Minor: 128, FileMode: mode(0o666)}, false},
		{"block", map[string]string{"MAJOR": "259", "MINOR": "1", "DEVNAME": "nvme0n1p1"}, api.Device{Path: "/dev/nvme0n1p1", Type: "b", Major: 259, Minor: 1, FileMode: mode(0o600)}, false},
		{"tty", map[string]string{"MAJOR": "4", "MINOR": "64", "DEVNAME": "ttyS0"}, api.Device{Path: "/dev/ttyS0", Type: "c", Major: 4, Minor: 64, FileMode: mode(0o600)}, false},
		{"tty", map[string]string{"MINOR": "64", "DEVNAME": "ttyS0"}, api.Device{}, true},
		{"tty", map[string]string{"MAJOR": "4", "MINOR": "64", "DEVNAME": "ttyS0", "DEVMODE": "rw"}, api.Device{}, true},
	} {
		got, err := nodeOf(test.properties, test.subsystem)
		if test.fails {
			if err == nil {
				t.Errorf("%v: no error", test.properties)
			}
			continue
		}
		if err != nil || got.Path != test.want.Path || got.Type != test.want.Type || got.Major != test.want.Major || got.Minor != test.want.Minor || *got.FileMode != *test.want.FileMode {
			t.Errorf("%v: got %+v, %v", test.properties, got, err)
		}
	}
}
