package engine

import (
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// defaultDeviceMode is rw for the owner alone: root starts the processes.
const defaultDeviceMode = os.FileMode(0o600)

// compileAgent decides the bounds of boot and stop.
func (c *compiler) compileAgent() {
	c.plan.Agent = plan.Agent{
		Transport:          "virtio-serial",
		BootTimeoutSeconds: int(schema.AgentBootTimeout.Of(c.profile).Seconds()),
		StopTimeoutSeconds: int(schema.AgentStopTimeout.Of(c.profile).Seconds()),
	}
}

// compileGuest gives the application to the guest.
func (c *compiler) compileGuest() {
	g := &c.plan.Guest
	g.Hostname = c.spec.Hostname
	g.Domainname = c.spec.Domainname
	if c.spec.Process != nil {
		g.Process = guestProcess(c.spec.Process)
		g.Process.Env = c.initEnvironment(g.Process.Env)
	}
	if c.plan.Init.Mode == plan.InitExec {
		g.Process.Capabilities = nil // the kernel's own: all
	} else {
		g.MaskedPaths = slices.Clone(c.linux().MaskedPaths)
		g.ReadonlyPaths = slices.Clone(c.linux().ReadonlyPaths)
	}
	c.compileSysctl()
}

// guestProcess is the application's process without what concerns the host's
// kernel: labels of its security modules, priorities and CPUs, which the
// container's own process keeps.
func guestProcess(p *specs.Process) specs.Process {
	g := *p
	g.Args = slices.Clone(p.Args)
	g.Env = slices.Clone(p.Env)
	g.ApparmorProfile = ""
	g.SelinuxLabel = ""
	g.OOMScoreAdj = nil
	g.Scheduler = nil
	g.IOPriority = nil
	g.ExecCPUAffinity = nil
	return g
}
