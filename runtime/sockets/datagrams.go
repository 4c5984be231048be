package sockets

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// Datagrams sends to a socket of datagrams.
type Datagrams struct{ fd int }

// Datagrams connects to the socket as this process.
func (s *Socket) Datagrams() (*Datagrams, error) {
	fd, err := s.connect(plan.SocketDatagram, User{})
	if err != nil {
		return nil, err
	}
	return &Datagrams{fd}, nil
}

// Send sends a datagram whose receiver, if it asks, is told of that user and
// group and of this process. It waits for as long as the receiver's queue is full.
func (d *Datagrams) Send(data []byte, uid, gid uint32) error {
	sender := unix.UnixCredentials(&unix.Ucred{Pid: int32(os.Getpid()), Uid: uid, Gid: gid})
	for {
		err := unix.Sendmsg(d.fd, data, sender, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Close closes the connection.
func (d *Datagrams) Close() { _ = unix.Close(d.fd) }
