// Package vsock takes the address that a VM's agent reaches its supervisor by:
// a context id for the VM, of those of the whole host, and the port of the
// same number on the host, where nobody but that VM is listened to.
//
// `create` takes both and hands them over to the supervisor, as descriptors: it
// needs no device node, and what is not to be had is known before the plan is
// executed.
package vsock

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// Device is the host's side of all vsock devices.
const Device = "/dev/vhost-vsock"

// Requests of include/uapi/linux/vhost.h.
const (
	vhostGetFeatures      = 0x8008af00
	vhostVsockSetGuestCID = 0x4008af60
)

// candidates is how many context ids are tried for a container.
const candidates = 32

// bufferSize is how many bytes the kernel keeps for the supervisor, by which the
// guest's sending is bounded. Linux's default is 256 KiB, and a stream may have
// 1 MiB on the way.
const bufferSize = 2 << 20

// backlog is how many connections may wait: other VMs may knock too.
const backlog = 128

// Candidates are the context ids that are tried for a container, in order: the
// first 32 bits of SHA-256 of "runcvm vsock N ID", where N counts from 0, with
// the two highest bits set to 01. So they are neither reserved ones nor those
// that people choose, which are small, and their ports need no privilege.
func Candidates(id string) []uint32 {
	list := make([]uint32, candidates)
	for n := range list {
		sum := sha256.Sum256(fmt.Appendf(nil, "runcvm vsock %d %s", n, id))
		list[n] = binary.BigEndian.Uint32(sum[:])&(1<<30-1) | 1<<30
	}
	return list
}

// Address is a VM's context id, taken, with the socket that listens on the
// port of that number. Both are free again when every copy of the descriptors
// is closed.
type Address struct {
	CID    uint32
	Device *os.File // of /dev/vhost-vsock; it has the context id and no owner yet
	socket *os.File // listens
}

// Close gives up this process's descriptors.
func (a *Address) Close() {
	a.Device.Close()
	a.socket.Close()
}

// ErrUnusable is wrapped by the errors of Take, which are sentences.
var ErrUnusable = errors.New("vsock is not usable")

// unusable is a reason for the plan.
type unusable string

func (u unusable) Error() string { return string(u) }
func (u unusable) Unwrap() error { return ErrUnusable }

// Probe finds out whether VMs can have a vsock device here.
func Probe() plan.Vsock { return probe(Device) }

func probe(device string) plan.Vsock {
	f, err := open(device)
	if err != nil {
		return plan.Vsock{Reason: err.Error()}
	}
	f.Close()
	socket, err := newSocket()
	if err != nil {
		return plan.Vsock{Reason: err.Error()}
	}
	socket.Close()
	return plan.Vsock{Usable: true, Reason: device + " opens."}
}

// Take takes an address for the container id. The error wraps ErrUnusable and
// is a sentence.
func Take(id string) (*Address, error) { return take(Device, id) }

func take(device, id string) (_ *Address, err error) {
	a := &Address{}
	if a.Device, err = open(device); err != nil {
		return nil, err
	}
	if a.socket, err = newSocket(); err != nil {
		a.Device.Close()
		return nil, err
	}
	list := Candidates(id)
	for _, a.CID = range list {
		err = setGuestCID(a.Device, a.CID)
		if err == nil {
			err = listen(a.socket, a.CID)
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, unix.EADDRINUSE):
		err = unusable(fmt.Sprintf("%s opens, but is busy: each of the %d context ids that are tried for this container is taken (%v).", device, len(list), err))
	default:
		err = unusable(fmt.Sprintf("%s opens, but gives no context id: %v.", device, err))
	}
	a.Close()
	return nil, err
}

// open opens the device and makes sure that it is one.
func open(device string) (*os.File, error) {
	// Without Go's poller, which vhost devices know nothing of.
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, unusable(openReason(device, err))
	}
	if err := getFeatures(fd); err != nil {
		_ = unix.Close(fd)
		return nil, unusable(fmt.Sprintf("%s opens, but is no vhost device: %v.", device, err))
	}
	return os.NewFile(uintptr(fd), device), nil
}

// openReason explains why the device cannot be opened.
func openReason(device string, err error) string {
	const load = "the kernel module vhost_vsock is not loaded, or not there (modprobe vhost_vsock)."
	switch {
	case errors.Is(err, unix.ENOENT):
		return device + " does not exist: " + load
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return device + " has no driver (" + err.Error() + "): " + load
	case errors.Is(err, unix.EPERM):
		return device + " is denied (" + err.Error() + "): the cgroup of the container engine does not allow the device."
	case errors.Is(err, unix.EACCES):
		return device + " may not be opened by this user (" + err.Error() + ")."
	case errors.Is(err, unix.EBUSY):
		return device + " is busy (" + err.Error() + ")."
	}
	return device + " cannot be opened: " + err.Error() + "."
}

func newSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, unusable(fmt.Sprintf("The host has no vsock sockets: %v.", err))
	}
	return os.NewFile(uintptr(fd), "vsock"), nil
}

// listen has the socket listen for VMs on a port. Accepted connections have its
// buffer size.
func listen(socket *os.File, port uint32) error {
	fd := int(socket.Fd())
	for _, option := range []int{unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE, unix.SO_VM_SOCKETS_BUFFER_SIZE} {
		if err := unix.SetsockoptUint64(fd, unix.AF_VSOCK, option, bufferSize); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	// Not on every context id: a host that is a VM itself has one that its own
	// host reaches.
	if err := unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: port}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

func getFeatures(fd int) error {
	var features uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vhostGetFeatures, uintptr(unsafe.Pointer(&features)))
	if errno != 0 {
		return os.NewSyscallError("VHOST_GET_FEATURES", errno)
	}
	return nil
}

// setGuestCID gives a vhost-vsock device its context id. The kernel allows the
// same device the same one again, which is what QEMU does.
func setGuestCID(device *os.File, cid uint32) error {
	value := uint64(cid)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, device.Fd(), vhostVsockSetGuestCID, uintptr(unsafe.Pointer(&value)))
	if errno != 0 {
		return os.NewSyscallError("VHOST_VSOCK_SET_GUEST_CID", errno)
	}
	return nil
}

// Accept waits for the VM to connect, once, and closes the socket. Whoever else
// connects is turned away: the kernel vouches for the peer's context id.
func (a *Address) Accept(ctx context.Context) (net.Conn, error) {
	defer a.socket.Close()
	listener, err := vsock.FileListener(a.socket) // a copy
	if err != nil {
		return nil, fmt.Errorf("use the vsock socket: %w", err)
	}
	defer listener.Close()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("wait for the VM's vsock connection: %w", err)
		}
		if peer, ok := conn.RemoteAddr().(*vsock.Addr); ok && peer.ContextID == a.CID {
			return conn, nil
		}
		conn.Close()
	}
}
