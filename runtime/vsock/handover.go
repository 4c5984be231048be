package vsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// HandOver puts the address into a socket for the supervisor to inherit and take
// it from, and gives it up here. Whoever else has the socket, as the OCI
// runtime in between does, has nothing of the address once it is taken: a copy
// of the device would outlive the VM, with its worker in the container's cgroup.
func (a *Address) HandOver() (*os.File, error) {
	defer a.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("hand over the vsock device: %w", err)
	}
	defer unix.Close(pair[0])
	file := os.NewFile(uintptr(pair[1]), "vsock address")
	message := binary.BigEndian.AppendUint32(nil, a.CID)
	rights := unix.UnixRights(int(a.Device.Fd()), int(a.socket.Fd()))
	if err := unix.Sendmsg(pair[0], message, rights, nil, unix.MSG_NOSIGNAL); err != nil {
		file.Close()
		return nil, fmt.Errorf("hand over the vsock device: %w", err)
	}
	return file, nil
}

// Receive takes the address out of the inherited socket fd, and closes that. A
// descriptor that is something else is left alone.
func Receive(fd int) (*Address, error) {
	var message [4]byte
	oob := make([]byte, unix.CmsgSpace(2*4))
	n, oobn, _, _, err := unix.Recvmsg(fd, message[:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is not the socket with the vsock device: %w", fd, err)
	}
	_ = unix.Close(fd)
	files, err := receivedFiles(oob[:oobn])
	if err == nil && (n != len(message) || len(files) != 2) {
		err = errors.New("the message is incomplete")
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("receive the vsock device: %w", err)
	}
	return &Address{CID: binary.BigEndian.Uint32(message[:]), Device: files[0], socket: files[1]}, nil
}

func receivedFiles(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "vsock"))
		}
	}
	return files, nil
}
