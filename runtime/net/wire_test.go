package net

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
)

// The reserved ports of the product.
var testReserved = [2]uint16{61184, 61439}

// wire is a container with its outside and, in place of a VM, a third
// namespace whose tap is fed from the container's: what QEMU does with frames.
type wire struct {
	outside, container, guest *testkit.Namespace
	tap                       *Tap
}

// wireOptions varies the wire.
type wireOptions struct {
	mtu     int
	macvlan bool
	queues  int // pairs of queues of the tap; 0 is 1
	mode    string
	kept    []plan.PortRange // beside the reserved ports
	before  func() error     // in the container's namespace, before the tap is attached
}

// The addresses of every wire.
const (
	outside4, outside6 = "10.9.0.1", "fd09::1"
	vm4, vm6           = "10.9.0.2", "fd09::2"
)

func newWire(t testing.TB, o wireOptions) *wire {
	t.Helper()
	testkit.Require(t, testkit.Root, testkit.NetNS, testkit.Tun, testkit.TC)
	if o.mode == "" {
		o.mode = plan.ModeTC
	}
	testkit.NoLeaks(t)
	if o.mtu == 0 {
		o.mtu = 1500
	}
	w := &wire{outside: testkit.NewNamespace(t), container: testkit.NewNamespace(t), guest: testkit.NewNamespace(t)}
	w.outside.Run(func() error { return connectNamespaces(w, o) })
	w.container.Run(func() error {
		if err := setUp("eth0", o.mtu, vm4+"/24", vm6+"/64"); err != nil {
			return err
		}
		const localPorts = "/proc/sys/net/ipv4/ip_local_port_range"
		return os.WriteFile(localPorts, fmt.Appendf(nil, "%d %d", testReserved[0], testReserved[1]), 0o644)
	})
	w.container.Run(func() (err error) {
		if o.before != nil {
			if err := o.before(); err != nil {
				return err
			}
		}
		kept := Kept(&plan.Network{ReservedPorts: testReserved, Ports: o.kept})
		w.tap, err = Attach("eth0", Join{Queues: max(o.queues, 1), Mode: o.mode, Kept: kept})
		return err
	})
	t.Cleanup(func() { w.container.Run(w.tap.Close) })
	w.plugGuest(t, o)
	return w
}

// connectNamespaces makes eth0 in the container, with its other end, or the
// macvlan's lower device, in the calling namespace.
func connectNamespaces(w *wire, o wireOptions) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out0", MTU: o.mtu}, PeerName: "peer0"}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	if err := setUp("out0", o.mtu, outside4+"/24", outside6+"/64"); err != nil {
		return err
	}
	link, err := netlink.LinkByName("peer0")
	if err != nil {
		return err
	}
	if o.macvlan {
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		lower := link
		link = &netlink.Macvlan{
			LinkAttrs: netlink.LinkAttrs{Name: "mv0", ParentIndex: lower.Attrs().Index, MTU: o.mtu},
			Mode:      netlink.MACVLAN_MODE_BRIDGE,
		}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetNsFd(link, int(w.container.Handle())); err != nil {
		return err
	}
	return w.container.Try(func() error {
		l, err := netlink.LinkByName(link.Attrs().Name)
		if err != nil {
			return err
		}
		return netlink.LinkSetName(l, "eth0")
	})
}

// setUp configures an interface as container engines do.
func setUp(name string, mtu int, addresses ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return err
	}
	for _, a := range addresses {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add %s to %s: %w", a, name, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// plugGuest makes the stand-in for the VM: a tap with the interface's own
// hardware address and addresses, whose frames are those of the product's tap.
func (w *wire) plugGuest(t testing.TB, o wireOptions) {
	t.Helper()
	var files []*os.File
	w.guest.Run(func() (err error) {
		if files, err = openTap("eth0", len(w.tap.Queues)); err != nil {
			return err
		}
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		mac, err := net.ParseMAC(w.tap.MAC)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return err
		}
		return setUp("eth0", o.mtu, vm4+"/24", vm6+"/64")
	})
	var ends []*os.File
	var copies sync.WaitGroup
	for i, queue := range w.tap.Queues {
		near, far := pollable(t, queue), pollable(t, files[i])
		ends = append(ends, near, far)
		copies.Go(func() { copyFrames(far, near) })
		copies.Go(func() { copyFrames(near, far) })
	}
	closeAll(files)
	w.tap.Release()
	t.Cleanup(func() {
		closeAll(ends)
		copies.Wait()
	})
}

// pollable duplicates a tap's descriptor so that Close ends a read, and turns
// on the offloads that QEMU turns on.
func pollable(t testing.TB, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// copyFrames moves frames with their virtio-net headers until a tap is closed.
// A frame that the other side does not take is lost, as on any wire.
func copyFrames(to io.Writer, from io.Reader) {
	buf := make([]byte, 1<<16+64)
	for {
		n, err := from.Read(buf)
		if errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			_, _ = to.Write(buf[:n])
		}
	}
}
