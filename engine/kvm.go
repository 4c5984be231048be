package engine

import (
	"strconv"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

// kvmDeviceVersion is the first version of QEMU, of those that can be installed,
// whose accelerator kvm has the property "device", which takes a descriptor.
const kvmDeviceVersion = 10

// takesKVMDescriptor says whether QEMU can be given /dev/kvm open. An older one
// opens the node itself.
func (c *compiler) takesKVMDescriptor() bool {
	major, _, _ := strings.Cut(c.facts.Tools.QEMUVersion, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= kvmDeviceVersion
}

// nested decides whether the guest's processor has virtualisation. TCG emulates
// AMD's.
func (c *compiler) nested(accel string) bool {
	nested := schema.MachineNested.Of(c.profile)
	if nested && accel == "kvm" && c.facts.KVM.Usable && !c.facts.KVM.Nested {
		c.diags.Errorf("Nested virtualisation is not available",
			"machine.nested is true, but the host's KVM gives its guests no virtualisation. Load its module so that it does (options kvm_intel nested=1, or kvm_amd nested=1, in /etc/modprobe.d), or leave machine.nested false.%s",
			c.blame(schema.MachineNested.Attribute))
	}
	return nested
}

// pmu decides whether the guest has performance counters.
func (c *compiler) pmu() bool {
	pmu := schema.KVMPMU.Of(c.profile)
	if pmu && c.facts.KVM.Usable && !c.facts.KVM.PMU {
		c.diags.Errorf("Performance counters are not available",
			"kvm.pmu is true, but the host's KVM gives its guests no performance counters: its processor, or the machine that the host is itself, has none, or its module is loaded with enable_pmu=0. Leave kvm.pmu false.%s",
			c.blame(schema.KVMPMU.Attribute))
	}
	return pmu
}

// kvmFDSet is the number under which QEMU knows the descriptor of /dev/kvm.
const kvmFDSet = 1

// addAccelerator writes what is the accelerator's.
func (c *compiler) addAccelerator(q *qemu.CommandLine) {
	m := c.plan.Machine
	if m.Accel != "kvm" {
		q.Properties("accel", m.Accel, qemu.Property{Name: "thread", Value: "multi"}, qemu.Number("tb-size", translationMiB))
		return
	}
	irqchip := schema.KVMKernelIRQChip.Of(c.profile)
	properties := []qemu.Property{{Name: "kernel-irqchip", Value: irqchip}}
	if m.KVMDescriptor {
		q.Properties("add-fd", "", qemu.Number("fd", plan.FDKVM), qemu.Number("set", kvmFDSet))
		properties = append(properties, qemu.Property{Name: "device", Value: "/dev/fdset/" + strconv.Itoa(kvmFDSet)})
	}
	q.Properties("accel", m.Accel, properties...)
	if irqchip == "on" {
		// Elsewhere the timer is QEMU's own and knows no policy.
		q.Properties("global", "", qemu.Property{Name: "kvm-pit.lost_tick_policy", Value: schema.KVMLostTickPolicy.Of(c.profile)})
	}
}

// kvmArguments are words of the kernel's command line.
func (c *compiler) kvmArguments() []string {
	if schema.KVMHaltPoll.Of(c.profile) == "guest" {
		return []string{"cpuidle_haltpoll.force=1"}
	}
	return nil
}
