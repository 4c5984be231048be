package engine

import (
	"fmt"
	"strconv"
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
	n := &c.plan.Network
	*n = plan.Network{Mode: plan.ModeNone, ReservedPorts: reservedPorts}
	names := c.profile.Labels("nic")
	if schema.NetworkMode.Of(c.profile) == plan.ModeNone {
		if len(names) > 0 {
			c.warn("Interfaces without effect", "The profile has blocks for the interfaces %s, and with network.mode = \"none\" the machine has none.", strings.Join(names, ", "))
		}
		return
	}
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
	n.Mode, n.ModeReason = c.networkMode()
	n.Ports = c.keptPorts()
	if c.plan.Machine.Bus == busPCI { // whose ports they are
		n.Slots = schema.NetworkSlots.Of(c.profile)
	}
	n.NIC, n.VHostReason = c.nic(""), ""
	if schema.NetworkVHost.Of(c.profile) == automatic && n.Model == virtioModel {
		n.VHostReason = c.facts.VHostNet.Reason
	}
	for _, name := range names {
		n.NICs = append(n.NICs, plan.NamedNIC{Name: name, NIC: c.nic(name)})
	}
}

// networkMode decides who moves the frames between the container's interfaces
// and the taps, and gives the reason of a choice by "auto".
func (c *compiler) networkMode() (mode, reason string) {
	tc, bridge := orUntried(c.facts.TC), orUntried(c.facts.Bridge)
	asked := schema.NetworkMode.Of(c.profile)
	switch {
	case asked == plan.ModeTC && !tc.Usable:
		c.diags.Errorf("Traffic control is not usable",
			"network.mode is \"tc\", but on this host: %s Use \"auto\" or \"bridge\".%s", tc.Reason, c.blame(schema.NetworkMode.Attribute))
	case asked == plan.ModeBridge && !bridge.Usable:
		c.diags.Errorf("Bridges are not usable",
			"network.mode is \"bridge\", but on this host: %s Use \"auto\" or \"tc\".%s", bridge.Reason, c.blame(schema.NetworkMode.Attribute))
	case asked != automatic:
	case tc.Usable:
		return plan.ModeTC, tc.Reason
	case bridge.Usable:
		return plan.ModeBridge, tc.Reason
	default:
		c.diags.Errorf("No way into the machine for frames",
			"The host's kernel has neither what network.mode = \"tc\" needs, nor what \"bridge\" does. %s %s Load the modules of one of them, or set network.mode = \"none\" in a profile.", tc.Reason, bridge.Reason)
	}
	return asked, ""
}

// orUntried takes what facts say nothing of for usable, as in those of an earlier
// version.
func orUntried(u plan.Usable) plan.Usable {
	return plan.Usable{Usable: u.Usable || u.Reason == "", Reason: u.Reason}
}

// keptPorts reads the ports that stay with the container, and warns about ports
// of the image that the reserved ones take from the guest.
func (c *compiler) keptPorts() []plan.PortRange {
	var kept []plan.PortRange
	for _, text := range schema.NetworkPorts.Of(c.profile) {
		r, ok := parsePorts(text)
		if !ok {
			c.diags.Errorf("Invalid ports", "network.ports has %q. Ports are a number from 1 to 65535, or two with a dash between, and perhaps a protocol: \"5900\", \"5900-5909/tcp\" or \"69/udp\".%s", text, c.blame(schema.NetworkPorts.Attribute))
			continue
		}
		kept = append(kept, r)
	}
	if vnc := c.plan.Display.VNC; vnc != nil {
		kept = append(kept, plan.PortRange{Protocol: plan.ProtocolTCP, First: vnc.Port, Last: vnc.Port})
	}
	for _, text := range c.facts.Image.Ports {
		if r, ok := parsePorts(text); ok && r.Last >= reservedPorts[0] && r.First <= reservedPorts[1] {
			c.warn("Port out of the guest's reach", "The image exposes, or docker run publishes, the port %s. The ports %d to %d stay with the container around the machine, and a server in the guest that listens there is not reached. Choose another port.", text, reservedPorts[0], reservedPorts[1])
		}
	}
	return kept
}

// parsePorts reads PORT[-PORT][/PROTOCOL]. Without a protocol it is TCP.
func parsePorts(text string) (plan.PortRange, bool) {
	ports, protocol, given := strings.Cut(text, "/")
	if !given {
		protocol = plan.ProtocolTCP
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	ok := errA == nil && errB == nil && a > 0 && a <= b && (protocol == plan.ProtocolTCP || protocol == plan.ProtocolUDP)
	return plan.PortRange{Protocol: protocol, First: uint16(a), Last: uint16(b)}, ok
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
	if c.plan.Network.Mode != plan.ModeNone {
		first, last := c.plan.Network.ReservedPorts[0], c.plan.Network.ReservedPorts[1]
		ports := fmt.Sprintf("%d-%d", first, last)
		for _, r := range c.plan.Network.Ports {
			ports += fmt.Sprintf(",%d-%d", r.First, r.Last)
		}
		if own := strings.TrimSpace(guest[reserved]); own != "" {
			ports = own + "," + ports
		}
		guest[reserved] = ports
		c.plan.OCI.Sysctl = map[string]string{"net.ipv4.ip_local_port_range": fmt.Sprintf("%d %d", first, last)}
		if c.plan.Network.Mode == plan.ModeBridge && c.facts.Host.IPv6 {
			// Docker turns IPv6 off but for its own interfaces, and the container's stack
			// moves to another one.
			c.plan.OCI.Sysctl["net.ipv6.conf.default.disable_ipv6"] = "0"
		}
	}
	if len(guest) > 0 {
		c.plan.Guest.Sysctl = guest
	}
}
