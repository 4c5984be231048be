package engine

import (
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// Processors that are no certain one.
const (
	cpuHost = "host" // the host's own
	cpuMax  = "max"  // all that can be had
)

// virtualisation are the features that machine.nested decides about.
var virtualisation = []string{"svm", "vmx"}

// cpu decides the guest's processor.
func (c *compiler) cpu(accel string, nested bool) plan.CPU {
	cpu := plan.CPU{Model: schema.MachineCPUModel.Of(c.profile), Features: append([]string(nil), schema.MachineCPUFeatures.Of(c.profile)...)}
	if cpu.Model == automatic {
		cpu.Model = cpuMax
		if accel == "kvm" {
			cpu.Model = cpuHost
		}
	}
	c.checkCPUModel(cpu.Model, accel)
	for _, f := range cpu.Features {
		c.checkCPUFeature(f, accel)
	}
	return cpu
}

// checkCPUModel reports a processor that QEMU does not know or cannot be, and
// warns of what TCG lacks of one.
func (c *compiler) checkCPUModel(model, accel string) {
	var names []string
	for _, m := range c.facts.Tools.CPUModels {
		names = append(names, m.Name)
	}
	blame := c.blame(schema.MachineCPUModel.Attribute)
	i := slices.Index(names, model)
	switch {
	case i < 0 && len(names) > 0:
		hint := diag.DidYouMean(model, names)
		if hint == "" {
			hint = " Those that it knows are " + strings.Join(names, ", ") + "."
		}
		c.diags.Errorf("Unknown processor", "machine.cpu_model is %q, and QEMU %s knows no such processor.%s%s", model, c.facts.Tools.QEMUVersion, hint, blame)
	case model == cpuHost && accel != "kvm":
		c.diags.Errorf("Processor not available", "machine.cpu_model is \"host\", the host's own processor, which needs KVM, and the machine runs in software translation (TCG). Use \"max\" or \"auto\", or the name of another one.%s", blame)
	case i >= 0 && model != cpuHost && accel == "tcg":
		if lacks := c.facts.Tools.CPUModels[i].TCGLacks; len(lacks) > 0 {
			c.warn("Processor not complete", "machine.cpu_model is %q, and software translation (TCG) does not have these features of it, which the guest does not see: %s.", model, strings.Join(lacks, ", "))
		}
	}
}

// checkCPUFeature reports a feature that nobody knows, that is another
// attribute's, or that TCG does not have.
func (c *compiler) checkCPUFeature(feature, accel string) {
	blame := c.blame(schema.MachineCPUFeatures.Attribute)
	sign, name := feature[:1], feature[1:]
	known := c.facts.Tools.CPUFeatures
	switch {
	case sign != "+" && sign != "-":
		c.diags.Errorf("Feature without a sign", "machine.cpu_features has %q. A feature begins with \"+\", which adds it, or \"-\", which takes it away: \"+%s\".%s", feature, feature, blame)
	case len(known) > 0 && !slices.Contains(known, name):
		c.diags.Errorf("Unknown processor feature", "machine.cpu_features has %q, and QEMU %s knows no such feature.%s The tool root's manifest lists them.%s", feature, c.facts.Tools.QEMUVersion, diag.DidYouMean(name, known), blame)
	case slices.Contains(virtualisation, name):
		c.diags.Errorf("Feature of another attribute", "machine.cpu_features has %q, which machine.nested decides. Set machine.nested instead.%s", feature, blame)
	case sign == "+" && accel == "tcg" && len(known) > 0 && !slices.Contains(c.facts.Tools.TCGFeatures, name):
		c.diags.Errorf("Processor feature not available", "machine.cpu_features has %q, which software translation (TCG) does not have. Leave it out, or run the machine with KVM.%s", feature, blame)
	}
}

// cpuModel is the processor, and what is masked or added.
func (c *compiler) cpuModel() (model string, properties []qemu.Property) {
	m := c.plan.Machine
	if !m.Nested {
		properties = append(properties, onOff("svm", false))
	}
	if m.Accel == "kvm" {
		if !m.Nested {
			properties = append(properties, onOff("vmx", false))
		}
		// QEMU's own choice is "on", which costs at each switch of a vCPU that counts.
		properties = append(properties, onOff("pmu", c.pmu()))
		if schema.KVMHintDedicated.Of(c.profile) {
			properties = append(properties, onOff("kvm-hint-dedicated", true))
		}
		if m.CPU.Model != cpuHost && m.CPU.Model != cpuMax || len(m.CPU.Features) > 0 {
			// What the host's processor lacks keeps QEMU from starting.
			properties = append(properties, onOff("enforce", true))
		}
	}
	for _, f := range m.CPU.Features {
		properties = append(properties, onOff(f[1:], f[0] == '+'))
	}
	return m.CPU.Model, properties
}

func onOff(name string, on bool) qemu.Property {
	return qemu.Property{Name: name, Value: map[bool]string{true: "on", false: "off"}[on]}
}
