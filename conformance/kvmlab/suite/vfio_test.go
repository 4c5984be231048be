package suite

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// passedDevices finds the lab's disk and network card that are for a machine, and
// gives them to the driver vfio-pci until the test ends.
func passedDevices(t *testing.T) (disk, card passedDevice) {
	t.Helper()
	if os.Getenv(lab.ScratchVar) != lab.ScratchDir {
		t.Skip("only the lab has devices that are for a machine")
	}
	take := func(glob, content string) passedDevice {
		t.Helper()
		paths, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(text)) != content {
				continue
			}
			// .../0000:01:00.0/virtio5/block/vdb
			class, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			device := filepath.Dir(filepath.Dir(filepath.Dir(class)))
			giveTo(t, device, "vfio-pci")
			t.Cleanup(func() { giveTo(t, device, "virtio-pci") })
			link, err := os.Readlink(filepath.Join(device, "iommu_group"))
			if err != nil {
				t.Fatal(err)
			}
			return passedDevice{filepath.Base(device), filepath.Base(link)}
		}
		t.Fatalf("the lab lacks the device with %q in %s", content, glob)
		return passedDevice{}
	}
	return take("/sys/block/vd*/serial", lab.PassedDisk), take("/sys/class/net/*/address", lab.PassedMAC)
}

// passedDevice is a PCI device of the lab.
type passedDevice struct{ address, group string }

// giveTo gives a PCI device to a driver, as driverctl does.
func giveTo(t *testing.T, device, driver string) {
	t.Helper()
	if out, err := exec.Command("modprobe", driver).CombinedOutput(); err != nil {
		t.Fatalf("modprobe %s: %v: %s", driver, err, out)
	}
	for _, step := range []struct{ file, text string }{
		{"driver_override", driver},
		{"driver/unbind", filepath.Base(device)},
	} {
		if err := os.WriteFile(filepath.Join(device, step.file), []byte(step.text), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("/sys/bus/pci/drivers_probe", []byte(filepath.Base(device)), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Readlink(filepath.Join(device, "driver")); err != nil || filepath.Base(got) != driver {
		t.Fatalf("the driver of %s: %q, %v", device, got, err)
	}
}

// TestVFIO gives machines PCI devices of the host: a network card, and a disk, which
// they write to and read with their own driver.
func TestVFIO(t *testing.T) {
	onKVM(t)
	disk, card := passedDevices(t)
	address, group := disk.address, disk.group
	// Partitions come while the machine runs.
	const write = `test "$(stat -c '%F %a' /dev/vda)" = "block special file 600" &&
printf "written in the machine" | dd of=/dev/vda bs=512 seek=3 conv=fsync,notrunc 2>/dev/null &&
addpart /dev/vda 1 3 8 && until [ -b /dev/vda1 ]; do sleep 0.1; done && head -c 22 /dev/vda1 && echo &&
delpart /dev/vda 1 && while [ -e /dev/vda1 ]; do sleep 0.1; done && cat /sys/class/net/passed0/address`
	const read = `dd if=/dev/vda bs=512 skip=3 count=1 2>/dev/null | head -c 22; echo; cat /sys/block/vda/serial; echo; exit 3`

	b := newBundle(t, "sh", "-c", write)
	b.edit(func(config map[string]any) {
		capabilities := config["process"].(map[string]any)["capabilities"].(map[string]any)
		for _, set := range []string{"bounding", "effective", "permitted"} {
			capabilities[set] = append(capabilities[set].([]any), "CAP_SYS_ADMIN")
		}
	})
	b.profile(fmt.Sprintf("machine {\n vfio = [%q, %q]\n}", strings.TrimPrefix(address, "0000:"), card.address))
	equal(t, "by a profile", b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id), harness.Result{Stdout: "written in the machine\n" + lab.PassedMAC + "\n"})

	// docker run --device /dev/vfio/NUMBER
	var st unix.Stat_t
	if err := unix.Stat("/dev/vfio/"+group, &st); err != nil {
		t.Fatal(err)
	}
	b = newBundle(t, "sh", "-c", read)
	major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
	b.edit(func(config map[string]any) {
		linux := config["linux"].(map[string]any)
		linux["devices"] = []any{map[string]any{"path": "/dev/vfio/" + group, "type": "c", "major": major, "minor": minor}}
		linux["resources"] = map[string]any{"devices": []any{
			map[string]any{"allow": false, "access": "rwm"},
			map[string]any{"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"},
		}}
	})
	equal(t, "by its group", b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id), harness.Result{Stdout: "written in the machine\npassed\n", Code: 3})

	// It is one machine's alone.
	node, err := os.OpenFile("/dev/vfio/"+group, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id)
	if err := node.Close(); err != nil {
		t.Error(err)
	}
	equal(t, "in use", r, harness.Result{Code: 125, Stderr: fmt.Sprintf("runcvm: the host's PCI device %s is in use: another machine or program has its IOMMU group (%s); end that first\n", address, group)})
	equal(t, "status after that", b.status(), "")

	// The device is the host's again, with what the machine wrote.
	giveTo(t, "/sys/bus/pci/devices/"+address, "virtio-pci")
	blocks, err := filepath.Glob("/sys/bus/pci/devices/" + address + "/virtio*/block/*")
	if err != nil || len(blocks) != 1 {
		t.Fatalf("the host's disk: %v, %v", blocks, err)
	}
	hosts, err := os.Open("/dev/" + filepath.Base(blocks[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	text := make([]byte, 22)
	if _, err := io.ReadFull(io.NewSectionReader(hosts, 3*512, 512), text); err != nil || string(text) != "written in the machine" {
		t.Errorf("the disk on the host: %s, %v", strconv.Quote(string(text)), err)
	}
}
