package facts

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/runcvm/runcvm/engine/plan"
)

// TestVFIOGroups reads folders that are as the kernel makes them.
func TestVFIOGroups(t *testing.T) {
	dir := t.TempDir()
	drivers, nodes := filepath.Join(dir, "bus/pci/drivers"), filepath.Join(dir, "dev")
	if got, err := readVFIO(drivers, nodes); got != nil || err != nil {
		t.Errorf("without the driver: %v, %v", got, err)
	}
	for _, path := range []string{drivers + "/vfio-pci/module", drivers + "/snd", nodes} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(drivers+"/vfio-pci/new_id", nil, 0o200); err != nil {
		t.Fatal(err)
	}
	got, err := readVFIO(drivers, nodes)
	if len(got) != 0 || err != nil {
		t.Errorf("without devices: %v, %v", got, err)
	}
	add := func(address, group, driver string) {
		t.Helper()
		device := filepath.Join(dir, "devices", address)
		members := filepath.Join(dir, "iommu_groups", group, "devices")
		for _, path := range []string{device, members} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		links := map[string]string{filepath.Join(device, "iommu_group"): filepath.Dir(members), filepath.Join(members, address): device}
		if driver != "" {
			links[filepath.Join(device, "driver")] = filepath.Join(drivers, driver)
			links[filepath.Join(drivers, driver, address)] = device
		}
		for link, target := range links {
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("0000:65:00.0", "31", "vfio-pci")
	add("0000:01:00.1", "4", "snd")
	add("0000:01:00.0", "4", "vfio-pci")
	add("0000:01:00.2", "4", "")
	add("0000:02:00.0", "5", "snd")
	// A node with numbers that need no privileges to be made.
	if err := os.Symlink("/dev/null", filepath.Join(nodes, "4")); err != nil {
		t.Fatal(err)
	}
	got, err = readVFIO(drivers, nodes)
	want := []plan.VFIOGroup{
		{Number: 4, Major: 1, Minor: 3, Devices: []plan.PCIDevice{
			{Address: "0000:01:00.0", Driver: "vfio-pci"}, {Address: "0000:01:00.1", Driver: "snd"}, {Address: "0000:01:00.2"},
		}},
		{Number: 31, Devices: []plan.PCIDevice{{Address: "0000:65:00.0", Driver: "vfio-pci"}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
