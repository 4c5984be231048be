package initd

import (
	"maps"
	"os"
	"testing"

	"github.com/runcvm/runcvm/guest/api"
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
	} {
		if p.has(path) != want {
			t.Errorf("%s is a passed device's: %t", path, !want)
		}
	}
}

func TestNodeOfADevice(t *testing.T) {
	mode := func(m os.FileMode) *os.FileMode { return &m }
	for _, test := range []struct {
		properties map[string]string
		want       api.Device
		fails      bool
	}{
		{map[string]string{"MAJOR": "226", "MINOR": "128", "DEVNAME": "dri/renderD128", "DEVMODE": "0666"}, api.Device{Path: "/dev/dri/renderD128", Type: "c", Major: 226, Minor: 128, FileMode: mode(0o666)}, false},
		{map[string]string{"MAJOR": "4", "MINOR": "64", "DEVNAME": "ttyS0"}, api.Device{Path: "/dev/ttyS0", Type: "c", Major: 4, Minor: 64, FileMode: mode(0o600)}, false},
		{map[string]string{"MINOR": "64", "DEVNAME": "ttyS0"}, api.Device{}, true},
		{map[string]string{"MAJOR": "4", "MINOR": "64", "DEVNAME": "ttyS0", "DEVMODE": "rw"}, api.Device{}, true},
	} {
		got, err := nodeOf("/devices/none", test.properties)
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
