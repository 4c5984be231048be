package engine

import (
	"fmt"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// defaultDeviceMode is rw for the owner alone: root starts the processes.
const defaultDeviceMode = os.FileMode(0o600)

// compileAgent decides the transport and the bounds of boot and stop.
func (c *compiler) compileAgent() {
	c.plan.Agent = plan.Agent{
		BootTimeoutSeconds: int(schema.AgentBootTimeout.Of(c.profile).Seconds()),
		StopTimeoutSeconds: int(schema.AgentStopTimeout.Of(c.profile).Seconds()),
	}
	c.compileTransport()
}

// compileTransport chooses what carries the agent's stream, and gives the reason
// of a choice by "auto".
func (c *compiler) compileTransport() {
	a := &c.plan.Agent
	usable, reason := c.facts.Vsock.Usable, c.facts.Vsock.Reason
	if k := c.plan.Kernel; usable && k.Version != "" && !c.kernelCan.Vsock {
		usable = false
		reason = fmt.Sprintf("The initramfs of the kernel %s has no driver for vsock. Where the kernel itself has one, \"runcvm install\" adds it.", k.Version)
	}
	switch schema.AgentTransport.Of(c.profile) {
	case plan.TransportSerial:
		a.Transport = plan.TransportSerial
	case plan.TransportVsock:
		a.Transport = plan.TransportVsock
		if !usable {
			c.diags.Errorf("Vsock is not usable",
				"agent.transport is \"vsock\", but here: %s Use \"auto\" or \"virtio-serial\", which needs nothing of the host.%s", reason, c.blame(schema.AgentTransport.Attribute))
		}
	default:
		a.TransportReason = reason
		a.Transport = plan.TransportSerial
		if usable {
			a.Transport, a.Fallback = plan.TransportVsock, plan.TransportSerial
		}
	}
}

// compileGuest gives the application to the guest.
func (c *compiler) compileGuest() {
	g := &c.plan.Guest
	g.Hostname = c.spec.Hostname
	g.Domainname = c.spec.Domainname
	if c.spec.Process != nil {
		g.Process = guestProcess(c.spec.Process)
		g.Process.Env = c.consoleEnvironment(c.initEnvironment(g.Process.Env))
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
	g.Scheduler = nil
	g.IOPriority = nil
	g.ExecCPUAffinity = nil
	return g
}
