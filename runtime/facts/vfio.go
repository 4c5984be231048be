package facts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// pciDriversDir has the kernel's PCI drivers, each with links to its devices:
// Documentation/driver-api/vfio.rst.
const pciDriversDir = "/sys/bus/pci/drivers"

// readVFIO reads the IOMMU groups with a device of the driver vfio-pci. Without the
// driver there are none. The nodes of the groups are in nodesDir.
func readVFIO(driversDir, nodesDir string) ([]plan.VFIOGroup, error) {
	dir := filepath.Join(driversDir, plan.VFIODriver)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	groups := map[int]plan.VFIOGroup{}
	for _, e := range entries {
		link := filepath.Join(dir, e.Name(), "iommu_group")
		group, err := filepath.EvalSymlinks(link)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue // one of the driver's own files, or a device that has just gone
		}
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(filepath.Base(group))
		if err != nil {
			return nil, fmt.Errorf("%s is no IOMMU group", group)
		}
		if _, known := groups[number]; known {
			continue
		}
		g := plan.VFIOGroup{Number: number}
		g.Devices, err = readGroup(group)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone in between
		}
		if err != nil {
			return nil, err
		}
		var st unix.Stat_t
		if unix.Stat(filepath.Join(nodesDir, strconv.Itoa(number)), &st) == nil {
			g.Major, g.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
		}
		groups[number] = g
	}
	return slices.SortedFunc(maps.Values(groups), func(a, b plan.VFIOGroup) int { return cmp.Compare(a.Number, b.Number) }), nil
}

// readGroup reads the devices of an IOMMU group, by their addresses.
func readGroup(group string) ([]plan.PCIDevice, error) {
	entries, err := os.ReadDir(filepath.Join(group, "devices"))
	if err != nil {
		return nil, err
	}
	devices := make([]plan.PCIDevice, 0, len(entries))
	for _, e := range entries {
		d := plan.PCIDevice{Address: e.Name()}
		driver, err := os.Readlink(filepath.Join(group, "devices", e.Name(), "driver"))
		switch {
		case err == nil:
			d.Driver = filepath.Base(driver)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}
