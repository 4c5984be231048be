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

// Numbers of devices in the virtio specification, as they stand in a device's
// folder of sysfs.
const (
	virtioBlock = "0x0002"
	virtioVsock = "0x0013"
)

// virtioBus is the folder of the VM's virtio devices.
const virtioBus = "/sys/bus/virtio/devices"

// diskModules is the list of the modules that disks need.
const diskModules = "load.disk"

// findTransport looks at the VM's virtio devices, of which the bus's driver
// knows from its loading on.
func findTransport(bus string) transport {
	if hasDevice(bus, virtioVsock) {
		return vsockTransport
	}
	return serialTransport // without a device, its error will say what is missing
}

// hasDevice says whether the VM has a virtio device of that number.
func hasDevice(bus, number string) bool {
	devices, err := os.ReadDir(bus)
	return err == nil && slices.ContainsFunc(devices, func(d os.DirEntry) bool {
		id, err := os.ReadFile(filepath.Join(bus, d.Name(), "device"))
		return err == nil && strings.TrimSpace(string(id)) == number
	})
}
