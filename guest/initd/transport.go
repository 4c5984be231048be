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
	virtioInput = "0x0012"
	virtioVsock = "0x0013"
)

// Classes of PCI devices, as they begin in a device's folder of sysfs.
const (
	pciDisplay = "0x03"
	pciUSB     = "0x0c03"
)

// Folders of the VM's devices.
const (
	virtioBus = "/sys/bus/virtio/devices"
	pciBus    = "/sys/bus/pci/devices"
)

// deviceModules lists the modules of the devices that the VM has beside those
// of every VM.
func deviceModules(commandLine string) []string {
	var lists []string
	if hasDevice(virtioBus, virtioBlock) {
		lists = append(lists, "load.disk")
	}
	if hasDevice(virtioBus, virtioInput) {
		lists = append(lists, "load.input")
	}
	// With this word, drivers of screens refuse to be loaded.
	textOnly := slices.Contains(strings.Fields(commandLine), "nomodeset")
	if hasClass(pciBus, pciDisplay) && !textOnly {
		lists = append(lists, "load.screen")
	}
	if hasClass(pciBus, pciUSB) {
		lists = append(lists, "load.usb")
	}
	return lists
}

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
	return anyDevice(bus, "device", func(id string) bool { return id == number })
}

// hasClass says whether the VM has a PCI device of a class.
func hasClass(bus, class string) bool {
	return anyDevice(bus, "class", func(c string) bool { return strings.HasPrefix(c, class) })
}

// anyDevice says whether the file of one of a bus's devices holds what is
// looked for.
func anyDevice(bus, file string, is func(content string) bool) bool {
	devices, err := os.ReadDir(bus)
	return err == nil && slices.ContainsFunc(devices, func(d os.DirEntry) bool {
		content, err := os.ReadFile(filepath.Join(bus, d.Name(), file))
		return err == nil && is(strings.TrimSpace(string(content)))
	})
}
