package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

// vfioContainer is the device by which the devices of groups get the machine's
// memory.
var vfioContainer = device{plan.VFIODir + "/vfio", 10, 196}

// Places of the ports of VFIO devices on the root bus, where the guest looks for
// them. QEMU gives the others to what has no certain place, from the first on.
const (
	firstVFIOSlot = 0x10
	maxVFIO       = 12
)

// pciAddress is an address as the kernel and lspci write it.
var pciAddress = regexp.MustCompile(`^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// compileVFIO gives the machine the host's PCI devices that the profile names, then
// those whose IOMMU groups the container is to have. A privileged container has all
// groups without naming any.
func (c *compiler) compileVFIO() {
	c.compileNamedVFIO()
	if c.allowsAllDevices() {
		return
	}
	for _, d := range c.linux().Devices {
		if group, ok := c.vfioGroup(d); ok && d.Type != "b" {
			c.addVFIOGroup(d, group)
		}
	}
}

func (c *compiler) compileNamedVFIO() {
	blame := c.blame(schema.MachineVFIO.Attribute)
	for _, name := range schema.MachineVFIO.Of(c.profile) {
		address := strings.ToLower(name)
		if !pciAddress.MatchString(address) {
			c.diags.Errorf("Not a PCI address",
				"machine.vfio names %q. The address of a PCI device is as lspci -D writes it, DOMAIN:BUS:DEVICE.FUNCTION in hexadecimal: \"0000:01:00.0\".%s", name, blame)
			continue
		}
		if strings.Count(address, ":") == 1 {
			address = "0000:" + address
		}
		group, ok := c.vfioGroupOf(address)
		if !ok {
			c.diags.Errorf("Device not free for a machine",
				"machine.vfio names the PCI device %s, and the host's driver %s does not have it: %s. Give it to that driver (modprobe %s; driverctl set-override %s %s), on a host whose IOMMU is on (intel_iommu=on on the kernel's command line where it is not by default).%s",
				address, plan.VFIODriver, c.vfioDevices(), plan.VFIODriver, address, plan.VFIODriver, blame)
			continue
		}
		c.addVFIO(group, address, blame)
	}
}

// vfioGroupOf finds the IOMMU group with a device that vfio-pci has.
func (c *compiler) vfioGroupOf(address string) (plan.VFIOGroup, bool) {
	for _, g := range c.facts.Host.VFIO {
		for _, d := range g.Devices {
			if d.Address == address && d.Driver == plan.VFIODriver {
				return g, true
			}
		}
	}
	return plan.VFIOGroup{}, false
}

// vfioDevices says which devices vfio-pci has.
func (c *compiler) vfioDevices() string {
	var addresses []string
	for _, g := range c.facts.Host.VFIO {
		for _, d := range g.Devices {
			if d.Driver == plan.VFIODriver {
				addresses = append(addresses, d.Address)
			}
		}
	}
	if len(addresses) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(addresses, ", ")
}

// addVFIOGroup gives the machine all devices of the group whose node the container
// is to have.
func (c *compiler) addVFIOGroup(d specs.LinuxDevice, group plan.VFIOGroup) {
	if access := c.deviceAccess(d); !strings.Contains(access, "r") || !strings.Contains(access, "w") {
		c.diags.Errorf("Device that cannot be used",
			"The container is to have %s, the IOMMU group %d of the host, and its rules in config.json allow %q. VFIO needs both reading and writing: --device %s.", d.Path, group.Number, access, d.Path)
		return
	}
	for _, member := range group.Devices {
		if member.Driver == plan.VFIODriver {
			c.addVFIO(group, member.Address, fmt.Sprintf(" The container has its group by --device %s.", d.Path))
		}
	}
}

// vfioGroup finds the IOMMU group of a device node.
func (c *compiler) vfioGroup(d specs.LinuxDevice) (plan.VFIOGroup, bool) {
	for _, g := range c.facts.Host.VFIO {
		if g.Major == d.Major && g.Minor == d.Minor && g.Major != 0 {
			return g, true
		}
	}
	return plan.VFIOGroup{}, false
}

// isVFIO says whether the machine has what a character device is for: the devices of
// an IOMMU group, or any of VFIO for the device that all groups need.
func (c *compiler) isVFIO(d specs.LinuxDevice) bool {
	if d.Major == vfioContainer.major && d.Minor == vfioContainer.minor {
		return len(c.plan.Machine.VFIO) > 0
	}
	_, isGroup := c.vfioGroup(d)
	return isGroup
}

// addVFIO gives the machine a device, unless it has it.
func (c *compiler) addVFIO(group plan.VFIOGroup, address, blame string) {
	m := &c.plan.Machine
	if slices.ContainsFunc(m.VFIO, func(d plan.VFIODevice) bool { return d.Address == address }) {
		return
	}
	if m.Bus != busPCI {
		c.diags.Errorf("Device without a bus",
			"The machine is to have the host's PCI device %s, and a machine of the type \"%s\" has no PCI bus. Use machine.type = \"q35\".%s", address, m.Type, blame)
		return
	}
	if len(m.VFIO) == maxVFIO {
		c.diags.Errorf("Too many PCI devices of the host", "A machine has at most %d, and %s is one more.%s", maxVFIO, address, blame)
		return
	}
	if group.Major == 0 {
		c.diags.Errorf("No device node of an IOMMU group",
			"The PCI device %s is in the IOMMU group %d, and the host has no %s for it. The node is there while %s has a device of the group, on a kernel with CONFIG_VFIO_GROUP.%s", address, group.Number, plan.VFIONode(group.Number), plan.VFIODriver, blame)
		return
	}
	for _, other := range group.Devices {
		// About what the kernel finds safe: ports are bridges, which do nothing by
		// themselves, and the others are drivers that let nobody use a device.
		if !slices.Contains([]string{"", plan.VFIODriver, "pci-stub", "pcieport"}, other.Driver) {
			c.diags.Errorf("IOMMU group in use",
				"The PCI device %s is in one IOMMU group (%d) with %s, which the host's driver %s uses: a machine with the one could reach the other. Give that to %s too (driverctl set-override %s %s).%s",
				address, group.Number, other.Address, other.Driver, plan.VFIODriver, other.Address, plan.VFIODriver, blame)
			return
		}
	}
	m.VFIO = append(m.VFIO, plan.VFIODevice{Address: address, Group: group.Number, Slot: firstVFIOSlot + len(m.VFIO)})
}

// vfioNodes are the devices of the host that QEMU opens for the machine's.
func (c *compiler) vfioNodes() []device {
	if len(c.plan.Machine.VFIO) == 0 {
		return nil
	}
	nodes := []device{vfioContainer}
	for _, g := range c.facts.Host.VFIO {
		if slices.ContainsFunc(c.plan.Machine.VFIO, func(d plan.VFIODevice) bool { return d.Group == g.Number }) {
			nodes = append(nodes, device{plan.VFIONode(g.Number), g.Major, g.Minor})
		}
	}
	return nodes
}

// vfioArguments adds the host's PCI devices, each behind a port of its own: behind
// one, a PCI Express device is what it is.
func (c *compiler) vfioArguments(q *qemu.CommandLine) {
	for i, d := range c.plan.Machine.VFIO {
		port := "vfio-port" + strconv.Itoa(i)
		q.Device(qemu.PCIeRootPort{ID: port, Bus: "pcie.0", Addr: fmt.Sprintf("%#x", d.Slot), Chassis: c.plan.Network.Slots + i + 1})
		q.Device(qemu.VFIO{ID: "vfio" + strconv.Itoa(i), Bus: port, Host: d.Address})
	}
}
