// Package engine compiles a profile, an OCI spec and facts into a plan. It is
// pure: no clock, no randomness, no environment, no I/O, so that the same
// inputs give the same plan, byte for byte.
package engine

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// Compile decides everything about the machine that profile declares for the
// container spec, given facts. With an error among the diagnostics, the plan is
// incomplete and must not be executed. What the machine does not honour of the
// spec is in the plan's warnings. None of the inputs is changed.
func Compile(profile *schema.Profile, spec *specs.Spec, facts *plan.Facts) (*plan.Plan, diag.Diagnostics) {
	c := &compiler{
		profile: profile, spec: spec, facts: facts,
		plan: &plan.Plan{
			FormatVersion: plan.FormatVersion,
			Profiles:      slices.Clone(profile.Names),
			Patches:       slices.Clone(profile.Patches),
			Origins:       profile.Origins(),
			Warnings:      slices.Clone(profile.Warnings),
		},
	}
	c.checkInputs()
	c.compileMachine()
	c.compileInit()
	c.compileFirmware()
	c.compileDisplay() // whose serial port depends on the firmware
	c.compileKernel()
	c.compileRootfs()
	c.compileNetwork()
	c.compileCgroupfs()
	c.compileAgent()
	c.compileMounts()
	c.compileDisks()
	c.compileDevices()
	c.compileResources()
	c.compileContainer()
	c.compileGuest()
	c.compileDebug()
	c.compileUnhonoured()
	c.compileProcesses()
	return c.plan, c.diags
}

// compiler is the state of one compilation. Each step reads the inputs and what
// the steps before it have put into the plan.
type compiler struct {
	profile *schema.Profile
	spec    *specs.Spec
	facts   *plan.Facts

	plan  *plan.Plan
	diags diag.Diagnostics
	// kernelCan is what the chosen kernel can be used for.
	kernelCan plan.KernelAbilities
}

// linux returns the spec's Linux part, empty when there is none.
func (c *compiler) linux() *specs.Linux {
	if c.spec.Linux == nil {
		return &specs.Linux{}
	}
	return c.spec.Linux
}

// resources returns the spec's limits, empty when there are none.
func (c *compiler) resources() *specs.LinuxResources {
	if r := c.linux().Resources; r != nil {
		return r
	}
	return &specs.LinuxResources{}
}

func (c *compiler) warn(summary, format string, args ...any) {
	c.plan.Warnings = append(c.plan.Warnings, plan.Warning{Summary: summary, Detail: fmt.Sprintf(format, args...)})
}

// blame says in a sentence where an attribute's value came from.
func (c *compiler) blame(a *schema.Attribute) string {
	o := c.profile.Origin(a)
	if o.Kind == "flag" {
		return fmt.Sprintf(" The value is that of docker's flag %s.", o.Where)
	}
	if o.Kind == "patch" && len(o.Overrode) > 0 {
		return fmt.Sprintf(" The value is set at %s, and the patch at %s has changed it.", o.Overrode[0].Where, o.Where)
	}
	return fmt.Sprintf(" The value is set at %s.", o.Where)
}

// checkInputs reports what no machine can be made from.
func (c *compiler) checkInputs() {
	if c.spec.Process == nil || len(c.spec.Process.Args) == 0 {
		c.diags.Errorf("No program to run",
			"The container's config.json has no process.args: the image has neither an entrypoint nor a command. Name a command after the image: docker run IMAGE COMMAND.")
	}
	if c.spec.Root == nil || c.spec.Root.Path == "" || c.facts.Bundle.RootPath == "" {
		c.diags.Errorf("No root file system", "The container's config.json has no root.path. Name the directory that holds the image's files.")
	}
	if arch := c.facts.Host.Architecture; arch != "amd64" {
		c.diags.Errorf("Unsupported architecture", "The host's architecture is %q. Machines are made on amd64 hosts only.", arch)
	}
	if kind := c.facts.Tools.VirtiofsdKind; kind != "c" && kind != "rust" || c.facts.Tools.QEMUVersion == "" {
		c.diags.Errorf("Incomplete installation",
			"The tool root %s has no QEMU or no virtiofsd that its manifest %s names. Run \"runcvm install\" again.", c.facts.Tools.Root, plan.ToolsManifest)
	}
}
