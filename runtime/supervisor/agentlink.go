package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/runtime/vmm"
	"github.com/runcvm/runcvm/runtime/vsock"
)

// agentLink is the way to the agent: what QEMU gets of it, and how the
// supervisor's end is had.
type agentLink struct {
	file     *os.File // QEMU's, as plan.FDAgent
	qemuArgs []string // beyond the plan's
	connect  func(context.Context) (net.Conn, error)
}

// openAgent opens the way to the agent, before any child could inherit it.
func (s *Supervisor) openAgent(context.Context) (err error) {
	s.agent, err = s.openAgentLink(plan.FDSupervisorVsock)
	return err
}

// openAgentLink opens the plan's transport; vsock's comes as the descriptor
// inherited. One that does not reach the container gives way to the plan's
// fallback.
func (s *Supervisor) openAgentLink(inherited int) (agentLink, error) {
	a := &s.plan.Agent
	if a.Transport != plan.TransportVsock {
		return serialLink(nil)
	}
	address, err := vsock.Receive(inherited)
	switch {
	case err == nil:
		s.log.Info("agent", "transport", a.Transport, "context_id", address.CID)
		return agentLink{
			file:     address.Device,
			qemuArgs: qemu.AgentVsock(qemu.Bus(s.plan.Machine.Bus), address.CID, plan.FDAgent),
			connect:  address.Accept,
		}, nil
	case a.Fallback == plan.TransportSerial:
		s.log.Warn("agent", "transport", a.Fallback, "instead_of", a.Transport, "error", err)
		return serialLink(qemu.AgentPort(qemu.Bus(s.plan.Machine.Bus), plan.FDAgent))
	}
	return agentLink{}, fmt.Errorf("the vsock device did not reach the container: %w; "+
		"let another transport take its place (agent.transport = \"auto\" in a profile)", err)
}

// serialLink is a virtio-serial port; args are those that the plan lacks for it.
func serialLink(args []string) (agentLink, error) {
	conn, file, err := vmm.SocketPair("agent")
	return agentLink{
		file: file, qemuArgs: args,
		connect: func(context.Context) (net.Conn, error) { return conn, nil },
	}, err
}
