package engine

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
)

// blockDeviceDir is where the supervisor finds the host's block devices in the
// container, by their numbers in the plan.
const blockDeviceDir = "/dev/runcvm"

// compileHostDevices sorts the devices of the spec: those of any kernel are made
// in the guest, block devices become disks, IOMMU groups PCI devices, and others are
// refused, since their drivers are in the host's kernel. A privileged container has all devices of the
// host without naming any: those are left out.
func (c *compiler) compileHostDevices() {
	var foreign, refused []string
	privileged := c.allowsAllDevices()
	for _, d := range c.linux().Devices {
		standard, pseudo := pseudoDevices[[2]int64{d.Major, d.Minor}]
		character := d.Type == "c" || d.Type == "u"
		switch {
		case d.Type == "p": // a pipe with a name is no device
			c.plan.Guest.Devices = append(c.plan.Guest.Devices, d)
		case pseudo && character:
			if !standard || !slices.Contains(defaultDevices, d.Path) {
				c.plan.Guest.Devices = append(c.plan.Guest.Devices, d)
			}
		case privileged:
			foreign = append(foreign, d.Path)
		case d.Type == "b":
			c.addBlockDevice(d)
		case character && c.isVFIO(d):
		case character:
			refused = append(refused, d.Path)
		default:
			foreign = append(foreign, d.Path)
		}
	}
	if len(foreign) > 0 {
		c.warn("Host devices not passed to the guest",
			"These devices belong to the host's kernel, and the machine has its own: %s. They are left out.", strings.Join(foreign, ", "))
	}
	if len(refused) > 0 {
		c.diags.Errorf("Device of the host not supported",
			"The container is to have these character devices: %s. Their drivers are in the host's kernel, and the machine has a kernel of its own, which cannot use them; block devices become disks of it, and IOMMU groups of the driver vfio-pci (/dev/vfio/NUMBER) PCI devices. Leave out --device for them, or run this container with runc.", strings.Join(refused, ", "))
	}
	if len(c.plan.BlockDevices) > 0 && len(c.plan.Disks)+len(c.plan.BlockDevices) > maxDisks {
		c.diags.Errorf("Too many disks", "A machine has at most %d disks. The profile declares %d, and the container has %d block devices of the host beside.", maxDisks, len(c.plan.Disks), len(c.plan.BlockDevices))
	}
}

// addBlockDevice makes a block device a disk of the machine, with what the
// container may do with it.
func (c *compiler) addBlockDevice(d specs.LinuxDevice) {
	access := c.deviceAccess(d)
	if !strings.Contains(access, "r") {
		c.diags.Errorf("Device that cannot be read",
			"The container is to have the block device %s and may not read it: its rules in config.json allow %q. Give it with the permissions r or rw, as in --device %s:%s:rw.", d.Path, access, d.Path, d.Path)
		return
	}
	n := len(c.plan.BlockDevices)
	// No disk of a profile has such a name.
	device := plan.BlockDevice{
		Name: fmt.Sprintf("device.%d", n), Path: path.Join(blockDeviceDir, strconv.Itoa(n)),
		ReadOnly: !strings.Contains(access, "w"), Node: d,
	}
	device.Node.Path = path.Clean("/" + d.Path)
	c.plan.BlockDevices = append(c.plan.BlockDevices, device)
	mode, root, granted := defaultDeviceMode, uint32(0), "rw"
	if device.ReadOnly {
		granted = "r"
	}
	major, minor := d.Major, d.Minor
	o := &c.plan.OCI
	o.Devices = append(o.Devices, specs.LinuxDevice{Path: device.Path, Type: "b", Major: major, Minor: minor, FileMode: &mode, UID: &root, GID: &root})
	o.DeviceRules = append(o.DeviceRules, specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &major, Minor: &minor, Access: granted})
}

// allowsAllDevices says whether the container may use every device, as a
// privileged one does.
func (c *compiler) allowsAllDevices() bool {
	return slices.ContainsFunc(c.resources().Devices, func(r specs.LinuxDeviceCgroup) bool {
		return r.Allow && (r.Type == "" || r.Type == "a") && isAny(r.Major) && isAny(r.Minor)
	})
}

// isAny says whether a number of a rule stands for all.
func isAny(number *int64) bool { return number == nil || *number == -1 }

// deviceAccess is what the spec's rules, of which later ones win, let the
// container do with a block device: a selection of "rwm".
func (c *compiler) deviceAccess(d specs.LinuxDevice) string {
	allowed := map[rune]bool{}
	for _, r := range c.resources().Devices {
		if r.Type != "" && r.Type != "a" && r.Type != d.Type ||
			!isAny(r.Major) && *r.Major != d.Major || !isAny(r.Minor) && *r.Minor != d.Minor {
			continue
		}
		for _, letter := range r.Access {
			allowed[letter] = r.Allow
		}
	}
	var access strings.Builder
	for _, letter := range "rwm" {
		if allowed[letter] {
			access.WriteRune(letter)
		}
	}
	return access.String()
}

// blockDeviceArguments adds the block devices to QEMU's arguments, behind the
// disks. What the guest writes goes by the host's cache, as a container's does,
// and a flush of the guest's is one of the device's.
func (c *compiler) blockDeviceArguments(q *qemu.CommandLine) {
	for i, d := range c.plan.BlockDevices {
		number := len(c.plan.Disks) + i
		q.Disk(qemu.Disk{
			Bus: qemu.Bus(c.plan.Machine.Bus), Name: d.Name, FD: plan.FDFirstDisk + number, Set: number,
			Device: true, ReadOnly: d.ReadOnly, AIO: "threads", Cache: "writeback", Discard: "unmap",
			Queues: min(c.plan.Machine.CPUs, 16), IOThread: c.hasIOThreads(),
		})
	}
}
