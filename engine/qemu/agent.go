package qemu

import "strconv"

// agentPort is the name of the agent's port in the guest, as guest/api has it;
// the engine does not import the guest's packages.
const agentPort = "org.runcvm.agent.0"

// AgentPort are the arguments of the agent's virtio-serial port, a connected
// socket inherited as the descriptor fd.
func AgentPort(bus Bus, fd int) []string {
	var c CommandLine
	c.Socket("agent", fd)
	c.Device(VirtioSerial{Bus: bus, ID: "serial", MaxPorts: 2})
	// Port 0 is the one of a console.
	c.Device(VirtSerialPort{ID: "agentport", Bus: "serial.0", Nr: 1, Chardev: "agent", Name: agentPort})
	return c.Args()
}

// VhostVsock is a vsock device that the host's kernel serves.
type VhostVsock struct {
	Bus      Bus    `json:"-"`
	ID       string `json:"id"`
	GuestCID uint32 `json:"guest-cid"`
	VhostFD  string `json:"vhostfd"` // a descriptor's number
}

func (d VhostVsock) driver() string { return d.Bus.driver("vhost-vsock") }

// AgentVsock are the arguments of the agent's vsock device, an open
// /dev/vhost-vsock inherited as the descriptor fd, which has the context id cid
// already. QEMU sets the same one again.
func AgentVsock(bus Bus, cid uint32, fd int) []string {
	var c CommandLine
	c.Device(VhostVsock{Bus: bus, ID: "vsock", GuestCID: cid, VhostFD: strconv.Itoa(fd)})
	return c.Args()
}
