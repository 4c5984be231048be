package initd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/guest/api"
)

// transport is a way to the supervisor. The VM has the device of one.
type transport struct {
	modules string // the list of its modules
	open    func() (*os.File, error)
}

var (
	serialTransport = transport{
		modules: "load.virtio-serial",
		open:    func() (*os.File, error) { return openPort(api.PortName, portWait) },
	}
	vsockTransport = transport{
		modules: "load.vsock",
		open:    func() (*os.File, error) { return openVsock(portWait) },
	}
)

// virtioVsock is the vsock device's number in the virtio specification, as it
// stands in a device's folder of sysfs.
const virtioVsock = "0x0013"

// findTransport looks at the VM's virtio devices, of which the bus's driver
// knows from its loading on.
func findTransport(bus string) transport {
	devices, err := os.ReadDir(bus)
	if err != nil {
		return serialTransport // whose error will say what is missing
	}
	if slices.ContainsFunc(devices, func(d os.DirEntry) bool {
		id, err := os.ReadFile(filepath.Join(bus, d.Name(), "device"))
		return err == nil && strings.TrimSpace(string(id)) == virtioVsock
	}) {
		return vsockTransport
	}
	return serialTransport
}
