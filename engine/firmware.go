package engine

import (
	"path"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

const (
	firmwareQboot = "qboot"
	firmwareEFI   = "efi"
)

// compileFirmware checks that the firmware is installed and fits the machine.
func (c *compiler) compileFirmware() {
	firmware := schema.FirmwareType.Of(c.profile)
	blame := c.blame(schema.FirmwareType.Attribute)
	missing := firmware == firmwareQboot && !c.facts.Tools.Qboot || firmware == firmwareEFI && !c.facts.Tools.EFI
	switch {
	case firmware == firmwareEFI && c.plan.Machine.Type == plan.MachineMicroVM:
		c.diags.Errorf("Firmware not for this machine",
			"firmware.type is \"efi\", and no EFI firmware is there for machine.type = \"microvm\". Use \"seabios\" or \"qboot\", or machine.type = \"q35\".%s", blame)
	case missing:
		c.diags.Errorf("Firmware not installed",
			"firmware.type is %q, which the tool root %s does not have. Use \"seabios\", or run \"runcvm install\" again.%s", firmware, c.facts.Tools.Root, blame)
	}
	if m := c.plan.Machine; firmware == firmwareEFI && m.MemoryMiB < minEFIMemoryMiB {
		c.diags.Errorf("Too little memory",
			"The machine's memory is %dM, and EFI firmware needs %dM to start a kernel. Ask for more: docker run --memory %dm, or machine.memory in a profile; or use another firmware.type.%s",
			m.MemoryMiB, minEFIMemoryMiB, minEFIMemoryMiB, c.blame(schema.MachineMemory.Attribute))
	}
	c.plan.Firmware = plan.Firmware{Type: firmware, Debug: schema.FirmwareDebug.Of(c.profile)}
}

// Nodes of EFI's flash: its program and its variables.
const (
	efiCodeNode = "efi-code"
	efiVarsNode = "efi-vars"
)

// firmwareProperties are the machine's properties for its firmware.
func (c *compiler) firmwareProperties() []qemu.Property {
	if c.plan.Firmware.Type != firmwareEFI {
		return nil
	}
	return []qemu.Property{{Name: "pflash0", Value: efiCodeNode}, {Name: "pflash1", Value: efiVarsNode}}
}

// addFirmware writes the arguments for the firmware and for what it says.
func (c *compiler) addFirmware(q *qemu.CommandLine) {
	switch c.plan.Firmware.Type {
	case firmwareQboot:
		q.Value("bios", "qboot.rom")
	case firmwareEFI:
		q.File(qemu.BlockdevFile{NodeName: efiCodeNode, Filename: plan.EFICode, ReadOnly: true})
		q.File(qemu.BlockdevFile{NodeName: efiVarsNode, Filename: path.Join(plan.StateMount, plan.EFIVarsState)})
	}
	if !c.plan.Firmware.Debug {
		return
	}
	q.Socket("firmware", plan.FDFirmware)
	if c.plan.Firmware.Type == firmwareEFI {
		q.Device(qemu.ISASerial{ID: "firmware-port", Chardev: "firmware", Index: 0})
		return
	}
	q.Device(qemu.ISADebugcon{ID: "firmware-port", Chardev: "firmware", IOBase: firmwarePort})
}

// firmwarePort is the I/O port that SeaBIOS and qboot write to.
const firmwarePort = 0x402

// consolePort is the serial port with the kernel's console. EFI writes to the
// first two of a PC, and what it writes is not the console's.
func (c *compiler) consolePort() int {
	if c.plan.Firmware.Type == firmwareEFI {
		return 2
	}
	return 0
}
