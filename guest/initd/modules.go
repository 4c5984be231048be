package initd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// modulesList is the list of the modules that every VM needs.
const modulesList = "load"

// loadModules loads the modules of a folder that a list names in load order, a
// file name a line. A folder without the list has none of them: they are built
// into the kernel.
func loadModules(dir, name string) error {
	list, err := os.ReadFile(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for name := range strings.Lines(string(list)) {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if err := loadModule(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("load the kernel module %s: %w", name, err)
		}
	}
	return nil
}

// buses have virtio devices: folders of them in /sys/bus, by patterns, and the
// lists of the modules that the devices there need.
var buses = []struct{ devices, modules string }{
	{"pci/devices/*", "load.pci"},
	// The ACPI name of a virtio-mmio device.
	{"acpi/devices/LNRO0005:*", "load.mmio"},
}

// loadBuses loads the drivers of the buses that the VM has.
func loadBuses(dir, sys string) error {
	for _, bus := range buses {
		found, err := filepath.Glob(filepath.Join(sys, bus.devices))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			if err := loadModules(dir, bus.modules); err != nil {
				return err
			}
		}
	}
	return nil
}

func loadModule(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.FinitModule(fd, "", 0); err != nil && err != unix.EEXIST {
		return err
	}
	return nil
}
