package engine

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// reservedPorts stay with the container's own stack, which shares its addresses
// with the guest. Linux gives local ports from 32768 to 60999 by default and
// IANA's dynamic range ends at 65535: the range is outside of what a guest
// takes by itself.
var reservedPorts = [2]uint16{61184, 61439}

// compileNetwork decides how the container's interfaces reach the guest.
func (c *compiler) compileNetwork() {
	c.plan.Network = plan.Network{Mode: "none", ReservedPorts: reservedPorts}
	if schema.NetworkMode.Of(c.profile) == "none" {
		return
	}
	c.plan.Network.Mode = "tc"
	namespace := c.namespace(specs.NetworkNamespace)
	switch {
	case namespace == nil, c.facts.Bundle.HostNetwork:
		c.diags.Errorf("Host network not supported",
			"The container has no network namespace of its own (docker run --network host), and a machine cannot share the host's network stack. Use another network and publish ports with -p, or set network.mode = \"none\" in a profile.")
	case strings.HasPrefix(namespace.Path, "/proc/"):
		c.diags.Errorf("Shared network not supported",
			"The container joins another one's network namespace, %s (docker run --network container:NAME), and a machine cannot share another's network stack. Put both on a user-defined network, where they reach each other by name.", namespace.Path)
	}
	if !c.facts.Host.HasTun {
		c.diags.Errorf("No /dev/net/tun",
			"The machine's network needs taps, and the host has no character device /dev/net/tun. Load the driver (modprobe tun), or set network.mode = \"none\" in a profile.%s", c.blame(schema.NetworkMode.Attribute))
	}
	if vnc := c.plan.Display.VNC; vnc != nil {
		c.plan.Network.Ports = []plan.PortRange{{Protocol: plan.ProtocolTCP, First: vnc.Port, Last: vnc.Port}}
	}
	c.plan.Network.Queues = c.queues()
	c.plan.Network.VHost, c.plan.Network.VHostReason = c.vhost()
}

// maxAutoQueues bounds the queues that nobody asked for: each pair takes memory
// in the guest, descriptors, and with vhost-net a thread of the host.
const maxAutoQueues = 8

// queues decides the pairs of queues of each interface. A guest uses at most one
// for each vCPU.
func (c *compiler) queues() int {
	asked, cpus := schema.NetworkQueues.Of(c.profile), c.plan.Machine.CPUs
	if asked == 0 {
		return max(1, c.profile.Most(schema.NetworkQueues.Attribute, min(cpus, maxAutoQueues)))
	}
	if asked > cpus {
		c.warn("More queues than vCPUs", "network.queues is %d, and a guest uses at most one pair of queues for each vCPU: the interfaces have %d.%s", asked, cpus, c.blame(schema.NetworkQueues.Attribute))
	}
	return min(asked, cpus)
}

// vhost decides who moves the frames and gives the reason of a choice by
// "auto".
func (c *compiler) vhost() (vhost bool, reason string) {
	device := c.facts.VHostNet
	switch schema.NetworkVHost.Of(c.profile) {
	case "off":
		return false, ""
	case "on":
		if !device.Usable {
			c.diags.Errorf("vhost-net is not usable",
				"network.vhost is \"on\", but on this host: %s Use \"auto\" or \"off\" to let QEMU move the frames.%s", device.Reason, c.blame(schema.NetworkVHost.Attribute))
		}
		return true, ""
	}
	return device.Usable, device.Reason
}

// namespace returns the spec's namespace of a type, nil when the container has
// that of the host.
func (c *compiler) namespace(t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	namespaces := c.linux().Namespaces
	for i := range namespaces {
		if namespaces[i].Type == t {
			return &namespaces[i]
		}
	}
	return nil
}

// compileSysctl splits kernel parameters: the application's are the guest's,
// the container keeps the ports that are reserved for it.
func (c *compiler) compileSysctl() {
	const reserved = "net.ipv4.ip_local_reserved_ports"
	guest := map[string]string{}
	for key, value := range c.linux().Sysctl {
		if strings.ReplaceAll(key, "/", ".") == reserved {
			key = reserved
		}
		guest[key] = value
	}
	if c.plan.Network.Mode == "tc" {
		first, last := c.plan.Network.ReservedPorts[0], c.plan.Network.ReservedPorts[1]
		ports := fmt.Sprintf("%d-%d", first, last)
		for _, p := range c.plan.Network.Ports {
			ports += fmt.Sprintf(",%d-%d", p.First, p.Last)
		}
		if own := strings.TrimSpace(guest[reserved]); own != "" {
			ports = own + "," + ports
		}
		guest[reserved] = ports
		c.plan.OCI.Sysctl = map[string]string{"net.ipv4.ip_local_port_range": fmt.Sprintf("%d %d", first, last)}
	}
	if len(guest) > 0 {
		c.plan.Guest.Sysctl = guest
	}
}
