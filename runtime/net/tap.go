package net

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

const tunDevice = "/dev/net/tun"

// ErrNoTun is wrapped by the error of Attach when the kernel's tun device is
// missing.
var ErrNoTun = errors.New("no tun device")

// Tap is a tap that is joined with an interface of the container. It lives as
// long as its descriptors do, here or in QEMU.
type Tap struct {
	Name      string     // the tap's own name
	Interface string     // the container's interface
	MAC       string     // the hardware address that the VM's NIC must have
	MTU       int        // bytes
	Queues    []*os.File // one for each pair of queues, in blocking mode

	// Lacks holds a sentence for each thing that the container's own stack has lost.
	Lacks []string

	peer    netlink.Link
	index   int
	bridged *bridged // nil for a tap that is joined by tc
}

// Join says how a tap is made and joined with an interface.
type Join struct {
	Index  int    // of the tap, from 0
	Queues int    // pairs of queues, at least one
	Mode   string // plan.ModeTC or plan.ModeBridge
	// Kept are the ports that stay with the container's own stack. Its
	// net.ipv4.ip_local_port_range has to lie in them.
	Kept []plan.PortRange
}

// Attach creates the tap "runcvm<index>" and joins it with the container's
// interface iface, so that a VM with the interface's hardware address and
// addresses takes its place on the network. TCP and UDP packets to the kept
// ports stay with the container's own stack.
//
// The tap has virtio-net headers. Hand Queues to QEMU, then close them with
// Release.
func Attach(iface string, j Join) (_ *Tap, err error) {
	peer, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("find the container's interface %s: %w", iface, err)
	}
	a := peer.Attrs()
	t := &Tap{
		Name:      fmt.Sprintf("runcvm%d", j.Index),
		Interface: iface,
		MAC:       a.HardwareAddr.String(),
		MTU:       a.MTU,
		peer:      peer,
		index:     j.Index,
	}
	if t.Queues, err = openTap(t.Name, j.Queues); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.Release()
		}
	}()
	link, err := t.configure()
	if err != nil {
		return nil, err
	}
	if j.Mode == plan.ModeBridge {
		err = t.joinByBridge(link, j.Kept)
	} else {
		err = t.joinByTC(link, j.Kept)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// openTap makes a tap that is gone when its last descriptor is closed.
func openTap(name string, queues int) (files []*os.File, err error) {
	if queues < 1 {
		return nil, fmt.Errorf("a tap needs at least one queue, not %d", queues)
	}
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if queues > 1 {
		flags |= unix.IFF_MULTI_QUEUE
	}
	for i := range queues {
		fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return files, tunError(err)
		}
		file := os.NewFile(uintptr(fd), name)
		files = append(files, file)
		req, err := unix.NewIfreq(name)
		if err != nil {
			return files, fmt.Errorf("name a tap %q: %w", name, err)
		}
		if i == 0 {
			req.SetUint16(flags | unix.IFF_TUN_EXCL) // the others join this one
		} else {
			req.SetUint16(flags)
		}
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return files, fmt.Errorf("create the tap %s (TUNSETIFF on %s; it needs CAP_NET_ADMIN): %w", name, tunDevice, err)
		}
	}
	return files, nil
}

func tunError(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: %s does not exist here, and a VM's network needs it; "+
			"load the module on the host (modprobe tun), or use --network none", ErrNoTun, tunDevice)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: %s has no driver (%w); load the module on the host (modprobe tun)", ErrNoTun, tunDevice, err)
	}
	return fmt.Errorf("open %s: %w", tunDevice, err)
}

// configure makes the tap a mere wire: the container's stack must never send
// on it, neither ARP nor IPv6.
func (t *Tap) configure() (netlink.Link, error) {
	link, err := netlink.LinkByName(t.Name)
	if err != nil {
		return nil, fmt.Errorf("find the tap %s: %w", t.Name, err)
	}
	if err := netlink.LinkSetMTU(link, t.MTU); err != nil {
		return nil, fmt.Errorf("set the tap's MTU to %d: %w", t.MTU, err)
	}
	if err := netlink.LinkSetARPOff(link); err != nil {
		return nil, fmt.Errorf("turn ARP off on the tap: %w", err)
	}
	return link, silence(link)
}

// joinByTC moves frames between the tap and the container's interface.
func (t *Tap) joinByTC(link netlink.Link, kept []plan.PortRange) (err error) {
	filters, err := containerFilters(kept)
	if err != nil {
		return err
	}
	if err := addIngress(link); err != nil {
		return err
	}
	out := filter{prio: prioRest, protocol: unix.ETH_P_ALL, keys: everything(), verdict: redirect}
	if err := out.add(link, t.peer); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set the tap up: %w", err)
	}
	// The container's stack does not know which groups the guest joins, and a
	// macvlan filters by them.
	if err := netlink.LinkSetAllmulticastOn(t.peer); err != nil {
		return fmt.Errorf("let interface %s receive every multicast frame: %w", t.Interface, err)
	}
	if err := addIngress(t.peer); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIngress(t.peer))
		}
	}()
	for _, f := range filters {
		if err := f.add(t.peer, link); err != nil {
			return err
		}
	}
	return nil
}

// Release closes this process's descriptors of the tap. QEMU's keep it alive.
func (t *Tap) Release() {
	closeAll(t.Queues)
	t.Queues = nil
}

// Close takes the filters, or the bridge, off the container's interface, whose
// own stack is whole again, and releases the tap. When the container ends that
// is not needed: its network namespace goes with it.
func (t *Tap) Close() error {
	t.Release()
	if t.bridged != nil {
		return t.bridged.undo(t.peer)
	}
	err := removeIngress(t.peer)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil // the interface or its hook is gone already
	}
	if err != nil {
		return fmt.Errorf("take the tc ingress hook off interface %s: %w", t.Interface, err)
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
