// Package sockets connects to unix sockets of the host.
package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// ErrNotSocket says that a path is something else.
var ErrNotSocket = errors.New("not a unix socket")

// Socket is a socket that has a place in the file system. It stays the one that
// was opened, whatever takes its place.
type Socket struct {
	file     *os.File // O_PATH
	Mode     uint32   // permissions
	UID, GID uint32   // its owner
}

// Open finds the socket at the path, links followed, without connecting to it.
func Open(path string) (*Socket, error) {
	// Only a look at the type, so that nothing else is opened, not even so.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != os.ModeSocket {
		return nil, ErrNotSocket
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	s := &Socket{file: os.NewFile(uintptr(fd), path)}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		s.Close()
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		s.Close()
		return nil, ErrNotSocket
	}
	s.Mode, s.UID, s.GID = st.Mode&0o7777, st.Uid, st.Gid
	return s, nil
}

// Close lets go of the socket. Connections stay.
func (s *Socket) Close() { _ = s.file.Close() }

// kinds are the kernel's numbers of the types.
var kinds = map[string]int{
	plan.SocketStream:    unix.SOCK_STREAM,
	plan.SocketDatagram:  unix.SOCK_DGRAM,
	plan.SocketSeqpacket: unix.SOCK_SEQPACKET,
}

// address reaches the socket whatever is at its path by now, and however long
// that is: an address holds 108 bytes.
func (s *Socket) address() *unix.SockaddrUnix {
	return &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(int(s.file.Fd()))}
}

// Type finds the socket's type by what the kernel refuses: a connection of
// another type (EPROTOTYPE), before the server hears of it. A server of streams
// or datagrams notices nothing; one of packets gets a connection that is closed at
// once. A socket that nobody serves is taken for one of streams.
func (s *Socket) Type() string {
	for _, kind := range []string{plan.SocketDatagram, plan.SocketSeqpacket} {
		fd, err := unix.Socket(unix.AF_UNIX, kinds[kind]|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			continue
		}
		err = unix.Connect(fd, s.address())
		_ = unix.Close(fd)
		switch {
		case err == nil, errors.Is(err, unix.EAGAIN): // the latter of a full backlog
			return kind
		case !errors.Is(err, unix.EPROTOTYPE):
			return plan.SocketStream
		}
	}
	return plan.SocketStream
}

// Connect connects as the user, who is whom the socket's server sees, and waits
// for as long as the server's backlog is full.
func (s *Socket) Connect(kind string, as User) (*net.UnixConn, error) {
	fd, err := s.connect(kind, as)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), s.file.Name())
	defer file.Close() // the connection has a copy
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("a connection of the type %T", conn)
	}
	return unixConn, nil
}

func (s *Socket) connect(kind string, as User) (fd int, err error) {
	number, ok := kinds[kind]
	if !ok {
		return 0, fmt.Errorf("%q is not a type of socket", kind)
	}
	err = as.do(func() error {
		if fd, err = unix.Socket(unix.AF_UNIX, number|unix.SOCK_CLOEXEC, 0); err != nil {
			return os.NewSyscallError("socket", err)
		}
		for {
			if err = unix.Connect(fd, s.address()); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if err != nil {
			_ = unix.Close(fd)
			return os.NewSyscallError("connect", err)
		}
		return nil
	})
	return fd, err
}
