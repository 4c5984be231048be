package net

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/routing"
)

// moveStack makes the tap of the container's own stack and gives it what the
// interface has: hardware address, MTU, addresses, routes.
func (b *bridged) moveStack(t *Tap) error {
	name := fmt.Sprintf("runcvmown%d", t.index)
	files, err := openTap(name, 1)
	if err != nil {
		return err
	}
	if b.stack, err = nonblocking(files[0]); err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find the tap %s: %w", name, err)
	}
	if err := netlink.LinkSetHardwareAddr(link, t.peer.Attrs().HardwareAddr); err != nil {
		return fmt.Errorf("give the container's tap its hardware address: %w", err)
	}
	if err := netlink.LinkSetMTU(link, t.MTU); err != nil {
		return fmt.Errorf("set the MTU of the container's tap: %w", err)
	}
	if err := silence(link); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set the container's tap up: %w", err)
	}
	if b.addresses, b.routes, err = configuration(t.peer); err != nil {
		return err
	}
	err = move(b.addresses, b.routes, t.peer, link)
	if !errors.Is(err, errNoIPv6) {
		return err
	}
	t.Lacks = append(t.Lacks, fmt.Sprintf("IPv6 is turned off for new interfaces of the container (net.ipv6.conf.default.disable_ipv6): "+
		"around the machine, nothing can use the IPv6 addresses of %s. The guest can.", t.Interface))
	b.addresses, b.routes = only4(b.addresses, b.routes)
	return move(b.addresses, b.routes, t.peer, link)
}

// errNoIPv6 means that an interface may not have IPv6 addresses.
var errNoIPv6 = errors.New("IPv6 is turned off")

func only4(addresses []netlink.Addr, routes []netlink.Route) ([]netlink.Addr, []netlink.Route) {
	return slices.DeleteFunc(addresses, func(a netlink.Addr) bool { return a.IP.To4() == nil }),
		slices.DeleteFunc(routes, func(r netlink.Route) bool { return r.Family == netlink.FAMILY_V6 })
}

// nonblocking hands f's descriptor on to a file whose Close ends a Read.
func nonblocking(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the descriptor of %s: %w", f.Name(), err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("set the descriptor of %s non-blocking: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// configuration returns the addresses of an interface and the main table's
// routes through it that do not follow from an address, those without a gateway
// first.
func configuration(link netlink.Link) ([]netlink.Addr, []netlink.Route, error) {
	addresses, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, nil, fmt.Errorf("list the addresses of interface %s: %w", link.Attrs().Name, err)
	}
	var routes []netlink.Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, LinkIndex: link.Attrs().Index}
		list, err := retry(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
		})
		if err != nil {
			return nil, nil, fmt.Errorf("list the routes of interface %s: %w", link.Attrs().Name, err)
		}
		for _, r := range list {
			if r.Protocol != unix.RTPROT_KERNEL && r.Type == unix.RTN_UNICAST {
				routes = append(routes, r)
			}
		}
	}
	sort.SliceStable(routes, func(i, j int) bool { return routes[i].Gw == nil && routes[j].Gw != nil })
	return addresses, routes, nil
}

// move takes addresses and routes from one interface to another.
func move(addresses []netlink.Addr, routes []netlink.Route, from, to netlink.Link) error {
	for _, a := range addresses {
		old := netlink.Addr{IPNet: a.IPNet, Peer: a.Peer}
		if err := netlink.AddrDel(from, &old); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("take the address %s from interface %s: %w", a.IPNet, from.Attrs().Name, err)
		}
		moved := netlink.Addr{IPNet: a.IPNet, Peer: a.Peer, Scope: a.Scope, Flags: a.Flags & unix.IFA_F_NOPREFIXROUTE}
		if a.IP.To4() == nil {
			moved.Flags |= unix.IFA_F_NODAD // the guest has the same one
		} else {
			moved.Broadcast = a.Broadcast
		}
		err := netlink.AddrReplace(to, &moved)
		if errors.Is(err, unix.EACCES) && a.IP.To4() == nil {
			return errNoIPv6
		}
		if err != nil {
			return fmt.Errorf("give the address %s to interface %s: %w", a.IPNet, to.Attrs().Name, err)
		}
	}
	for _, r := range routes {
		r.LinkIndex = to.Attrs().Index
		// They say how the route is at the moment.
		r.Flags &= int(netlink.FLAG_ONLINK)
		if err := routing.Add(&r); err != nil {
			return fmt.Errorf("move the route to %s to interface %s: %w", destination(r), to.Attrs().Name, err)
		}
	}
	return nil
}

// undo gives the interface back what it had.
func (b *bridged) undo(peer netlink.Link) error {
	var errs []error
	if b.bridge != nil {
		if err := netlink.LinkDel(b.bridge); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("remove the bridge: %w", err))
		}
	}
	if b.stack != nil {
		link, err := netlink.LinkByName(b.stack.Name())
		if _, gone := netlink.LinkByIndex(peer.Attrs().Index); err == nil && gone == nil {
			errs = append(errs, move(b.addresses, b.routes, link, peer))
		}
	}
	for _, f := range []*os.File{b.wire, b.stack} {
		if f != nil {
			_ = f.Close()
		}
	}
	return errors.Join(errs...)
}
