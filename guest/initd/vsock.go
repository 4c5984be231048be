package initd

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// vsockBuffer is how many bytes the kernel keeps for this end, by which the
// host's sending is bounded. Linux's default is 256 KiB, and a stream may have
// 1 MiB on the way.
const vsockBuffer = 2 << 20

// openVsock connects to the supervisor, which listens on the port of this VM's
// context id and turns everybody else away. The peer is the host's kernel,
// where nobody else can listen while the supervisor does.
func openVsock(timeout time.Duration) (*os.File, error) {
	cid, err := localCID()
	if err != nil {
		return nil, fmt.Errorf("find this VM's vsock context id: %w", err)
	}
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := connectVsock(fd, cid, timeout); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect to the supervisor by vsock, port %d: %w", cid, err)
	}
	return os.NewFile(uintptr(fd), "vsock"), nil
}

// localCID asks the vsock device's driver.
func localCID() (uint32, error) {
	fd, err := unix.Open("/dev/vsock", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: "/dev/vsock", Err: err}
	}
	defer unix.Close(fd)
	cid, err := unix.IoctlGetUint32(fd, unix.IOCTL_VM_SOCKETS_GET_LOCAL_CID)
	if err == nil && cid == unix.VMADDR_CID_ANY {
		err = errors.New("no driver has one")
	}
	return cid, err
}

func connectVsock(fd int, port uint32, timeout time.Duration) error {
	for _, option := range []int{unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE, unix.SO_VM_SOCKETS_BUFFER_SIZE} {
		if err := unix.SetsockoptUint64(fd, unix.AF_VSOCK, option, vsockBuffer); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	// The kernel's own limit is two seconds, which a busy host may take.
	limit := unix.NsecToTimeval(timeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	err := unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: port})
	if err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	for {
		// Without a limit of its own: the kernel ends the attempt.
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("poll", err)
		}
		break
	}
	result, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if result != 0 {
		return os.NewSyscallError("connect", unix.Errno(result))
	}
	return nil
}
