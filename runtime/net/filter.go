package net

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// Priorities of the filters on the container's interface; the first that
// matches decides.
const (
	prioARP = iota + 1
	prioND
	prioReserved4
	prioReserved6
	prioRest
)

// addIngress gives the link an ingress hook. The interface is ours alone: a
// hook that is already there belongs to somebody whose filters would be lost
// or would take frames from the VM, so it is an error.
func addIngress(link netlink.Link) error {
	err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: link.Attrs().Index,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_INGRESS,
	}})
	if err != nil {
		return tcError(err, "add the tc ingress hook to interface %s", link.Attrs().Name)
	}
	return nil
}

// ErrNoTC is wrapped by the error of Attach when the host's kernel lacks a part
// of tc.
var ErrNoTC = errors.New("the host's kernel lacks a part of traffic control")

// tcError tells a kernel without the modules from every other error.
func tcError(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%s: %w (%w); load its modules on the host "+
			"(modprobe -a sch_ingress cls_u32 act_mirred), or use network.mode = \"bridge\" in a profile", what, ErrNoTC, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func removeIngress(link netlink.Link) error {
	return netlink.QdiscDel(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: link.Attrs().Index,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_INGRESS,
	}})
}

// filter is one u32 filter at an ingress hook.
type filter struct {
	prio     uint16
	protocol uint16 // ETH_P_*
	keys     []netlink.TcU32Key
	verdict  verdict
}

// verdict is what happens to a frame that a filter matches.
type verdict int

const (
	pass     verdict = iota // this namespace's own stack gets it
	copyTo                  // the other interface and the own stack get it
	redirect                // the other interface gets it
)

// add installs the filter at link's ingress hook, with peer as the other
// interface.
func (f filter) add(link, peer netlink.Link) error {
	u := &netlink.U32{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: link.Attrs().Index,
			Parent:    netlink.MakeHandle(0xffff, 0),
			Priority:  f.prio,
			Protocol:  f.protocol,
		},
		Sel: &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Keys: f.keys},
	}
	switch f.verdict {
	case pass:
		// A terminal filter without action accepts, which needs no act_gact.
		u.ClassId = netlink.MakeHandle(0xffff, 1)
	case copyTo:
		u.Actions = []netlink.Action{mirred(netlink.TCA_EGRESS_MIRROR, netlink.TC_ACT_OK, peer)}
	case redirect:
		u.Actions = []netlink.Action{mirred(netlink.TCA_EGRESS_REDIR, netlink.TC_ACT_STOLEN, peer)}
	}
	if err := netlink.FilterAdd(u); err != nil {
		return tcError(err, "add a tc filter (u32, priority %d) from interface %s to %s",
			f.prio, link.Attrs().Name, peer.Attrs().Name)
	}
	return nil
}

func mirred(act netlink.MirredAct, then netlink.TcAct, peer netlink.Link) netlink.Action {
	return &netlink.MirredAction{
		ActionAttrs:  netlink.ActionAttrs{Action: then},
		MirredAction: act,
		Ifindex:      peer.Attrs().Index,
	}
}

// everything matches each frame.
func everything() []netlink.TcU32Key { return []netlink.TcU32Key{{}} }

// containerFilters are those at the ingress of the container's interface: what
// the container's own stack needs to live on the same addresses, then the rest
// for the VM.
//
// The reserved ports are matched in packets without IPv4 options or IPv6
// extension headers, and in unfragmented ones: a later fragment has no ports,
// so a datagram would be torn apart.
func containerFilters(kept []plan.PortRange) ([]filter, error) {
	filters := []filter{{prio: prioARP, protocol: unix.ETH_P_ARP, keys: everything(), verdict: copyTo}}
	// Neighbour discovery (RFC 4861): ICMPv6 types 133 to 137, hop limit 255.
	for _, t := range []portMask{{133, 0xff}, {134, 0xfe}, {136, 0xfe}} {
		filters = append(filters, filter{prio: prioND, protocol: unix.ETH_P_IPV6, verdict: copyTo, keys: []netlink.TcU32Key{
			word(4, 0x00003aff, 0x0000ffff),
			word(40, uint32(t.value)<<24, uint32(t.mask)<<24),
		}})
	}
	for _, k := range kept {
		protocol, err := protocolNumber(k.Protocol)
		if err != nil {
			return nil, err
		}
		masks, err := portMasks(k.First, k.Last)
		if err != nil {
			return nil, err
		}
		for _, p := range masks {
			filters = append(filters, portFilters(protocol, uint32(p.value), uint32(p.mask))...)
		}
	}
	return append(filters, filter{prio: prioRest, protocol: unix.ETH_P_ALL, keys: everything(), verdict: redirect}), nil
}

// portFilters leave the packets of a protocol to the ports p with
// p&mask == port to the container's stack, and the ICMP errors about packets
// that it sent: path MTU, unreachable ports. The packet in such an error has the
// port as its source.
func portFilters(protocol, port, mask uint32) []filter {
	return []filter{
		{prio: prioReserved4, protocol: unix.ETH_P_IP, keys: []netlink.TcU32Key{
			word(0, 0x45000000, 0xff000000), // version 4, no options
			word(4, 0, 0x00003fff),          // no fragment: neither offset nor MF
			word(8, protocol<<16, 0x00ff0000),
			word(20, port, mask),
		}},
		{prio: prioReserved6, protocol: unix.ETH_P_IPV6, keys: []netlink.TcU32Key{
			word(4, protocol<<8, 0x0000ff00),
			word(40, port, mask),
		}},
		{prio: prioReserved4, protocol: unix.ETH_P_IP, keys: []netlink.TcU32Key{
			word(0, 0x45000000, 0xff000000),
			word(8, unix.IPPROTO_ICMP<<16, 0x00ff0000),
			word(20, 3<<24, 0xff000000), // destination unreachable
			word(28, 0x45000000, 0xff000000),
			word(36, protocol<<16, 0x00ff0000),
			word(48, port<<16, mask<<16),
		}},
		{prio: prioReserved6, protocol: unix.ETH_P_IPV6, keys: []netlink.TcU32Key{
			word(4, unix.IPPROTO_ICMPV6<<8, 0x0000ff00),
			word(40, 0, 0xfc000000), // types 1 to 3: unreachable, too big, time exceeded
			word(52, protocol<<8, 0x0000ff00),
			word(88, port<<16, mask<<16),
		}},
	}
}

// word is a u32 key: the four bytes at offset off of the network header,
// masked, equal value.
func word(off int32, value, mask uint32) netlink.TcU32Key {
	return netlink.TcU32Key{Off: off, Val: value, Mask: mask}
}
