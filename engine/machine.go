package engine

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// Memory in mebibytes.
const (
	minMemoryMiB = plan.MinMemoryMiB
	// minEFIMemoryMiB is what EFI firmware needs to load that.
	minEFIMemoryMiB = 192
	// translationMiB is TCG's buffer for translated code. QEMU's default is an
	// eighth of the host's memory, which no limit of a container can count on.
	translationMiB = 128
	// processesMiB is for QEMU, virtiofsd, the supervisor and their page tables.
	processesMiB = 160
)

// maxCPUs is the limit of a q35 machine without an interrupt remapper.
const maxCPUs = 255

// compileMachine decides accelerator, vCPUs and RAM.
func (c *compiler) compileMachine() {
	m := plan.Machine{Type: schema.MachineType.Of(c.profile), Bus: busPCI, OverheadMiB: processesMiB}
	if m.Type == plan.MachineMicroVM {
		m.Bus = busMMIO
	}
	m.Accel, m.AccelReason = c.accel()
	m.KVMDescriptor = m.Accel == "kvm" && c.takesKVMDescriptor()
	m.Nested = c.nested(m.Accel)
	m.USB = schema.MachineUSB.Of(c.profile)
	m.CPU = c.cpu(m.Accel, m.Nested)
	m.CPUs = schema.MachineCPUs.Of(c.profile)
	if m.CPUs < 1 || m.CPUs > maxCPUs {
		c.diags.Errorf("Impossible number of vCPUs", "A machine has from 1 to %d vCPUs, not %d.%s", maxCPUs, m.CPUs, c.blame(schema.MachineCPUs.Attribute))
	}
	c.compileMaxCPUs(&m)
	memory := schema.MachineMemory.Of(c.profile)
	m.MemoryMiB = memory.WholeMiB()
	if m.MemoryMiB < minMemoryMiB {
		c.diags.Errorf("Too little memory",
			"The machine's memory is %s, and a guest's kernel needs %dM to start. Ask for more: docker run --memory %dm, or machine.memory in a profile.%s",
			memory, minMemoryMiB, minMemoryMiB, c.blame(schema.MachineMemory.Attribute))
	}
	if host := c.facts.Host.MemoryMiB; host > 0 && m.MemoryMiB > host {
		c.warn("More memory than the host has", "The machine's memory is %s, the host has %dM: the host ends the machine when the guest uses it up.", memory, host)
	}
	c.compileMemory(&m)
	c.checkMicroVM(m)
	if m.Accel == "tcg" {
		m.OverheadMiB += translationMiB
	}
	c.plan.Machine = m
	c.compileVFIO()
}

// compileMaxCPUs decides how many vCPUs the machine has room for.
func (c *compiler) compileMaxCPUs(m *plan.Machine) {
	switch most := schema.MachineMaxCPUs.Of(c.profile); {
	case most == 0:
	case most < m.CPUs:
		c.diags.Errorf("Impossible number of vCPUs",
			"machine.max_cpus is %d, which is less than the machine's number of vCPUs, %d. It is what that may grow to, or 0.%s", most, m.CPUs, c.blame(schema.MachineMaxCPUs.Attribute))
	case most > m.CPUs:
		m.MaxCPUs = most
	}
}

// Buses of virtio devices, by the names that package qemu has for them.
const (
	busPCI  = string(qemu.PCI)
	busMMIO = string(qemu.MMIO)
)

// accel chooses the accelerator and gives the reason of a choice by "auto".
func (c *compiler) accel() (accel, reason string) {
	kvm := c.facts.KVM
	switch schema.MachineAccel.Of(c.profile) {
	case "tcg":
		return "tcg", ""
	case "kvm":
		if !kvm.Usable {
			c.diags.Errorf("KVM is not usable",
				"machine.accel is \"kvm\", but on this host: %s Use \"auto\" or \"tcg\" to run in software.%s", kvm.Reason, c.blame(schema.MachineAccel.Attribute))
		}
		return "kvm", ""
	}
	if kvm.Usable {
		return "kvm", kvm.Reason
	}
	c.warn("Running without KVM", "The machine runs in software translation (TCG), which is much slower than the processor itself. KVM is not usable here: %s", kvm.Reason)
	return "tcg", kvm.Reason
}

// compileResources rewrites the limits that bound the application to bound the
// machine around it.
func (c *compiler) compileResources() {
	r := c.resources()
	m := c.plan.Machine
	if r.Memory != nil && r.Memory.Limit != nil && *r.Memory.Limit > 0 && *r.Memory.Limit < unlimited {
		ram := units.Bytes(m.MemoryMiB) * units.MiB
		overhead := units.Bytes(m.OverheadMiB) * units.MiB
		c.plan.OCI.MemoryLimit = int64(ram + overhead)
	}
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit > 0 {
		limit := *r.Pids.Limit
		if c.plan.Init.Mode == plan.InitExec {
			c.warn("Process limit not applied in the guest",
				"The limit of %d processes does not bind an init of the image's own, which is in the guest's first control group; the machine's memory bounds it. init.mode = \"supervise\" has the limit.", limit)
		} else {
			c.plan.Guest.PidsLimit = limit
		}
		c.plan.OCI.PidsLimit = plan.OuterPidsLimit(limit)
	}
	c.plan.OCI.CPU = cpuLimits(r.CPU)
}

// cpuLimits is what limits, nil for none: engines write limits that are none as
// zeros.
func cpuLimits(cpu *specs.LinuxCPU) *specs.LinuxCPU {
	if cpu == nil {
		return nil
	}
	limits := *cpu
	if limits.Shares != nil && *limits.Shares == 0 {
		limits.Shares = nil
	}
	if limits.Quota != nil && *limits.Quota <= 0 {
		limits.Quota = nil
	}
	if limits.Period != nil && (*limits.Period == 0 || limits.Quota == nil) {
		limits.Period = nil
	}
	if limits == (specs.LinuxCPU{}) {
		return nil
	}
	return &limits
}
