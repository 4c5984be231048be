package net

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// bridged is a join of the container's interface and the VM's tap for hosts
// without tc. The two are the ports of a bridge that is no more than a wire:
// it learns nothing, floods everything to the other port, and has no addresses.
//
// The container's own stack, to which a port's frames do not come, moves to a tap
// of its own with the interface's hardware address, addresses and routes. This
// process carries its frames, by a packet socket on the interface. A filter on
// that socket takes what the stack needs out of what comes in, and one on the
// VM's tap keeps the guest from seeing, and refusing, what is the stack's alone.
type bridged struct {
	bridge    netlink.Link
	stack     *os.File // the stack's tap
	wire      *os.File // the packet socket
	addresses []netlink.Addr
	routes    []netlink.Route
}

// bridgePrefix begins the names of the bridges.
const bridgePrefix = "runcvmbr"

// ErrNoBridge is wrapped by the error of Attach when the host's kernel has no
// bridges or no packet sockets.
var ErrNoBridge = errors.New("the host's kernel lacks a part of the bridge mode")

func bridgeError(err error, module, what string) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: %w (%w); load its module on the host (modprobe %s), or use --network none", what, ErrNoBridge, err, module)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// joinByBridge moves frames between the tap and the container's interface.
func (t *Tap) joinByBridge(link netlink.Link, kept []plan.PortRange) (err error) {
	kinds, err := keptKinds(kept)
	if err != nil {
		return err
	}
	if t.peer.Attrs().MasterIndex != 0 {
		return fmt.Errorf("interface %s belongs to another bridge or bond already", t.Interface)
	}
	b := &bridged{}
	t.bridged = b
	defer func() {
		if err != nil {
			err = errors.Join(err, b.undo(t.peer))
			t.bridged = nil
		}
	}()
	if err := b.openWire(t.peer, kinds); err != nil {
		return err
	}
	if err := b.moveStack(t); err != nil {
		return err
	}
	if err := b.build(t, link); err != nil {
		return err
	}
	if err := keepFromGuest(t.Queues[0], kinds); err != nil {
		return err
	}
	go carry(b.wire, b.stack)
	go carry(b.stack, b.wire)
	return nil
}

// build makes the bridge of the interface and the VM's tap.
func (b *bridged) build(t *Tap, link netlink.Link) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = fmt.Sprintf("%s%d", bridgePrefix, t.index), t.MTU
	// An address of its own: the bridge would take that of a port else.
	attrs.HardwareAddr = append(net.HardwareAddr{}, t.peer.Attrs().HardwareAddr...)
	attrs.HardwareAddr[0] = (attrs.HardwareAddr[0] | 2) ^ 4
	noSnooping := false // it would want to see each group being joined
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &noSnooping}); err != nil {
		return bridgeError(err, "bridge", "make a bridge in the container")
	}
	bridge, err := netlink.LinkByName(attrs.Name)
	if err != nil {
		return err
	}
	b.bridge = bridge
	if err := silence(bridge); err != nil {
		return err
	}
	// Else it would answer for the addresses of the stack.
	if err := netlink.LinkSetARPOff(bridge); err != nil {
		return fmt.Errorf("turn ARP off on the bridge: %w", err)
	}
	for _, port := range []netlink.Link{link, t.peer} {
		if err := b.addPort(port); err != nil {
			return fmt.Errorf("make interface %s a port of the bridge: %w", port.Attrs().Name, err)
		}
	}
	if err := netlink.LinkSetAllmulticastOn(t.peer); err != nil {
		return fmt.Errorf("let interface %s receive every multicast frame: %w", t.Interface, err)
	}
	for _, l := range []netlink.Link{bridge, link} {
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("set %s up: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

// addPort makes a port that learns nothing. The kernel takes a port's own
// address for one of the bridge; that of the interface is the guest's.
func (b *bridged) addPort(port netlink.Link) error {
	if err := netlink.LinkSetMaster(port, b.bridge); err != nil {
		return err
	}
	if err := netlink.LinkSetLearning(port, false); err != nil {
		return err
	}
	return netlink.NeighDel(&netlink.Neigh{
		LinkIndex: port.Attrs().Index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_MASTER,
		HardwareAddr: port.Attrs().HardwareAddr,
	})
}

// silence keeps the kernel from giving an interface IPv6 addresses. By netlink,
// since /proc/sys is read-only in a container. A kernel without IPv6 has nothing
// to turn off.
func silence(link netlink.Link) error {
	err := netlink.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("turn IPv6 addresses off on %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// openWire opens the packet socket on the interface, which takes in the frames
// that the stack needs.
func (b *bridged) openWire(peer netlink.Link, kept []frameKind) error {
	code, err := program(append(sharedKinds(), kept...), wholeFrame, 0)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return bridgeError(err, "af_packet", "open a packet socket (it needs CAP_NET_RAW)")
	}
	b.wire = os.NewFile(uintptr(fd), "frames of "+peer.Attrs().Name)
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog); err != nil {
		return fmt.Errorf("attach the filter of the container's frames: %w", err)
	}
	// Frames come with checksums that are not computed yet, and larger than the
	// MTU: the header that both sides have says so.
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			return fmt.Errorf("set option %d of the packet socket: %w", option, err)
		}
	}
	const everyProtocol = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everyProtocol, Ifindex: peer.Attrs().Index}); err != nil {
		return fmt.Errorf("bind the packet socket to interface %s: %w", peer.Attrs().Name, err)
	}
	return nil
}

// keepFromGuest has the VM's tap drop frames of these kinds. The filter counts
// for every queue.
func keepFromGuest(tap *os.File, kinds []frameKind) error {
	code, err := program(kinds, 0, wholeFrame)
	if err != nil {
		return err
	}
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	conn, err := tap.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	err = conn.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.TUNATTACHFILTER, uintptr(unsafe.Pointer(&fprog)))
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return fmt.Errorf("attach a filter to the tap (TUNATTACHFILTER): %w", err)
	}
	return nil
}

// carry moves frames with their virtio-net headers until one side is closed. A
// frame that the other side does not take is lost, as on any wire.
func carry(to, from *os.File) {
	buf := make([]byte, 1<<16+64)
	for {
		n, err := from.Read(buf)
		switch {
		case err == nil:
			_, _ = to.Write(buf[:n])
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENETDOWN):
			// A frame that the header cannot describe; an interface that is down.
		default:
			return
		}
	}
}
