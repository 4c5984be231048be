package net

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// Kept lists the ports that stay with the container's own stack: the range of
// its local ports, by both protocols, and those that a plan names.
func Kept(n *plan.Network) []plan.PortRange {
	kept := make([]plan.PortRange, 0, 2+len(n.Ports))
	for _, protocol := range []string{plan.ProtocolTCP, plan.ProtocolUDP} {
		kept = append(kept, plan.PortRange{Protocol: protocol, First: n.ReservedPorts[0], Last: n.ReservedPorts[1]})
	}
	return append(kept, n.Ports...)
}

// protocolNumber is a protocol's number in IP headers.
func protocolNumber(name string) (uint32, error) {
	switch name {
	case plan.ProtocolTCP:
		return unix.IPPROTO_TCP, nil
	case plan.ProtocolUDP:
		return unix.IPPROTO_UDP, nil
	}
	return 0, fmt.Errorf("ports of the protocol %q cannot stay with the container: tcp and udp have ports", name)
}

// portMask is a set of ports: those p with p&mask == value.
type portMask struct{ value, mask uint16 }

// portMasks covers the ports from first to last, both included, with the
// fewest masks. u32 compares masked words and has no ranges.
func portMasks(first, last uint16) ([]portMask, error) {
	if first == 0 || last < first {
		return nil, fmt.Errorf("the reserved port range %d-%d is empty or includes port 0", first, last)
	}
	var masks []portMask
	for port := uint32(first); port <= uint32(last); {
		size := port & -port // the largest aligned block that starts here
		for port+size-1 > uint32(last) {
			size /= 2
		}
		masks = append(masks, portMask{value: uint16(port), mask: uint16(-size)})
		port += size
	}
	return masks, nil
}
