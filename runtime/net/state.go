// Package net connects the VM to the container's network: it reads the
// interfaces of the container's network namespace, joins each with a tap by tc
// filters, and relays DNS messages to the container's resolver.
//
// Every function works on the network namespace of the calling thread. The
// supervisor lives in the container's; a program that switches namespaces must
// lock its thread (runtime.LockOSThread).
package net

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// State is the network as the container has it and the guest shall have it.
type State struct {
	Interfaces []api.Interface // by kernel index, which is the order of creation
	Routes     []api.Route     // in the kernel's order, on-link routes first
	// Unsupported holds a sentence for each thing that the guest will not get.
	Unsupported []string
}

// Read returns the Ethernet interfaces of this network namespace that are up,
// with their addresses, and the main table's routes through them. Loopback is
// left out, as is everything that the guest's kernel makes by itself: the
// EUI-64 link-local address and the routes that follow from an address.
func Read() (State, error) {
	links, err := retry(netlink.LinkList)
	if err != nil {
		return State{}, fmt.Errorf("list the container's network interfaces: %w", err)
	}
	sort.Slice(links, func(i, j int) bool { return links[i].Attrs().Index < links[j].Attrs().Index })
	var st State
	byIndex := map[int]*connected{}
	for _, link := range links {
		a := link.Attrs()
		// Kernels with tunnel modules put sit0, erspan0 and others into every
		// new namespace; those are down. A tun device is one of our own taps, and
		// a bridge one of our own bridges.
		if a.Flags&net.FlagLoopback != 0 || a.Flags&net.FlagUp == 0 || link.Type() == "tuntap" || link.Type() == "tun" || isOwnBridge(link) {
			continue
		}
		if a.EncapType != "ether" || len(a.HardwareAddr) != 6 {
			st.unsupported("Interface %s has the link type %q, and only Ethernet reaches the VM.", a.Name, a.EncapType)
			continue
		}
		c, err := readInterface(link)
		if err != nil {
			return State{}, err
		}
		byIndex[a.Index] = c
		st.Interfaces = append(st.Interfaces, c.Interface)
	}
	if err := st.readRoutes(byIndex); err != nil {
		return State{}, err
	}
	return st, nil
}

// IPv6Disabled says that IPv6 is turned off for all interfaces, the loopback
// included, but those that turn it on: Docker does so in a container that has no
// network with it.
func IPv6Disabled() bool {
	value, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/disable_ipv6")
	return err == nil && strings.TrimSpace(string(value)) == "1"
}

func isOwnBridge(link netlink.Link) bool {
	return link.Type() == "bridge" && strings.HasPrefix(link.Attrs().Name, bridgePrefix)
}

// connected is an interface with the networks that its addresses imply.
type connected struct {
	api.Interface
	networks map[string]bool // destination in CIDR and the source address
}

func readInterface(link netlink.Link) (*connected, error) {
	a := link.Attrs()
	c := &connected{
		Interface: api.Interface{Name: a.Name, MAC: a.HardwareAddr.String(), MTU: a.MTU},
		networks:  map[string]bool{},
	}
	addrs, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the addresses of interface %s: %w", a.Name, err)
	}
	for _, addr := range addrs {
		if isEUI64LinkLocal(addr.IP, a.HardwareAddr) || addr.Flags&(unix.IFA_F_TEMPORARY|unix.IFA_F_DADFAILED) != 0 {
			// IFA_F_TEMPORARY is IFA_F_SECONDARY for IPv4, which is kept.
			if addr.IP.To4() == nil {
				continue
			}
		}
		c.Addresses = append(c.Addresses, addr.IPNet.String())
		if addr.Flags&unix.IFA_F_NOPREFIXROUTE == 0 {
			network := net.IPNet{IP: addr.IP.Mask(addr.Mask), Mask: addr.Mask}
			c.networks[network.String()] = true
		}
	}
	return c, nil
}

// isEUI64LinkLocal reports whether ip is the link-local address that a kernel
// makes from the hardware address (RFC 4291, appendix A).
func isEUI64LinkLocal(ip net.IP, mac net.HardwareAddr) bool {
	want := net.IP{
		0xfe, 0x80, 0, 0, 0, 0, 0, 0,
		mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5],
	}
	return len(ip) == net.IPv6len && ip.Equal(want)
}

func (st *State) readRoutes(byIndex map[int]*connected) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := retry(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return fmt.Errorf("list the container's routes: %w", err)
		}
		for _, r := range routes {
			st.addRoute(family, r, byIndex)
		}
	}
	// A gateway must be reachable when its route is added.
	sort.SliceStable(st.Routes, func(i, j int) bool {
		return st.Routes[i].Gateway == "" && st.Routes[j].Gateway != ""
	})
	return nil
}

func (st *State) addRoute(family int, r netlink.Route, byIndex map[int]*connected) {
	if len(r.MultiPath) > 0 {
		st.unsupported("The route to %s has several next hops.", destination(r))
		return
	}
	if r.Type != unix.RTN_UNICAST {
		// Local, broadcast and multicast entries are the kernel's own.
		if r.Protocol != unix.RTPROT_KERNEL {
			st.unsupported("The route to %s has the type %d; only unicast routes reach the VM.", destination(r), r.Type)
		}
		return
	}
	c := byIndex[r.LinkIndex]
	if c == nil {
		return // loopback, or an interface reported above
	}
	if c.implies(r) {
		return
	}
	out := api.Route{
		Interface: c.Name,
		Scope:     int(r.Scope),
		Metric:    r.Priority,
		IPv6:      family == netlink.FAMILY_V6,
		OnLink:    r.Flags&int(netlink.FLAG_ONLINK) != 0,
	}
	if d := destination(r); d != "default" {
		out.Destination = d
	}
	if r.Gw != nil {
		out.Gateway = r.Gw.String()
	}
	if via, ok := r.Via.(*netlink.Via); ok {
		out.Gateway = via.Addr.String()
	}
	if r.Src != nil {
		out.Source = r.Src.String()
	}
	st.Routes = append(st.Routes, out)
}

// implies reports whether the guest's kernel makes the route by itself, out of
// an address of the interface.
func (c *connected) implies(r netlink.Route) bool {
	if r.Protocol != unix.RTPROT_KERNEL || r.Gw != nil || r.Via != nil || r.Dst == nil {
		return false
	}
	return c.networks[r.Dst.String()] || r.Dst.String() == "fe80::/64" || r.Dst.String() == "ff00::/8"
}

// destination is the route's destination in CIDR, or "default".
func destination(r netlink.Route) string {
	if r.Dst == nil {
		return "default"
	}
	if ones, _ := r.Dst.Mask.Size(); ones == 0 && r.Dst.IP.IsUnspecified() {
		return "default"
	}
	return r.Dst.String()
}

func (st *State) unsupported(format string, args ...any) {
	st.Unsupported = append(st.Unsupported, fmt.Sprintf(format, args...))
}

// retry repeats a netlink dump that a concurrent change made inconsistent.
func retry[T any](list func() ([]T, error)) ([]T, error) {
	const attempts = 10
	for range attempts {
		out, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
	return nil, fmt.Errorf("the network kept changing while it was read (%d attempts)", attempts)
}
