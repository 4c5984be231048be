package engine

import (
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

// A microvm has places for so many devices, each with an interrupt of its own.
const (
	// mmioDevices are there with both of QEMU's interrupt controllers (IOAPIC).
	mmioDevices = 24
	// mmioDevicesSplit leaves out those whose interrupts KVM would take for the
	// first controller's: QEMU has one route for the pins of the same number, of
	// which that uses those from 9 down.
	mmioDevicesSplit = 14
	// mmioDevicesKernel are there with the host kernel's controller alone.
	mmioDevicesKernel = 8
)

// kernelIOAPIC says whether the host's kernel emulates the interrupt controller
// (IOAPIC).
func (c *compiler) kernelIOAPIC() bool {
	return c.plan.Machine.Accel == "kvm" && schema.KVMKernelIRQChip.Of(c.profile) == "on"
}

// microVMProperties are the machine's properties.
func (c *compiler) microVMProperties() []qemu.Property {
	properties := []qemu.Property{
		// The guest finds the devices by ACPI, and powers off by it.
		{Name: "acpi", Value: "on"},
		// The time of day is read from it.
		{Name: "rtc", Value: "on"},
	}
	if c.kernelIOAPIC() {
		// The second controller is always QEMU's own, and the kernel's local APIC
		// does not tell it that the guest is done with an interrupt: each device
		// would get one.
		properties = append(properties, qemu.Property{Name: "ioapic2", Value: "off"})
	}
	return properties
}

// checkMMIODevices reports more devices than the machine has places for.
func (c *compiler) checkMMIODevices() {
	m := c.plan.Machine
	if m.Bus != busMMIO {
		return
	}
	most, mend := mmioDevices, "Use fewer disks"
	switch {
	case c.kernelIOAPIC():
		most, mend = mmioDevicesKernel, "Use kvm.kernel_irqchip = \"split\", with which it has more, or fewer disks"
	case m.Accel == "kvm":
		most = mmioDevicesSplit
	}
	if count := c.virtioDevices(); count > most {
		c.diags.Errorf("Too many devices",
			"This machine of the type \"microvm\" has places for %d devices, and it would have %d, of which %d are disks. %s, or machine.type = \"q35\".%s",
			most, count, c.disks(), mend, c.blame(schema.MachineType.Attribute))
	}
}

// checkMicroVM reports what a microvm cannot do.
func (c *compiler) checkMicroVM(m plan.Machine) {
	if m.Type != plan.MachineMicroVM {
		return
	}
	const mend = "Leave it, or use machine.type = \"q35\"."
	if m.MaxMemoryMiB > 0 {
		c.diags.Errorf("Memory that cannot grow",
			"machine.max_memory is %dM, and a machine of the type \"microvm\" takes no memory while it runs. %s%s", m.MaxMemoryMiB, mend, c.blame(schema.MachineMaxMemory.Attribute))
	}
	if m.MaxCPUs > 0 {
		c.diags.Errorf("Number of vCPUs that cannot grow",
			"machine.max_cpus is %d, and a machine of the type \"microvm\" takes no vCPUs while it runs. %s%s", m.MaxCPUs, mend, c.blame(schema.MachineMaxCPUs.Attribute))
	}
	if m.USB {
		c.diags.Errorf("USB without PCI",
			"machine.usb is true, and the USB controller is a PCI device, which a machine of the type \"microvm\" has no bus for. %s%s", mend, c.blame(schema.MachineUSB.Attribute))
	}
	if m.Accel == "tcg" && c.facts.Host.TSCKHz == 0 {
		c.diags.Errorf("Frequency of the counter unknown",
			"machine.type is \"microvm\", which has no timer to measure the processor's time stamp counter by, and this host does not tell the counter's frequency: the guest's kernel would wait for ever. Use \"q35\".%s", c.blame(schema.MachineType.Attribute))
	}
}
