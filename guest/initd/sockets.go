package initd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/guest/relay"
)

// socketRelay hands what connects to the guest's sockets to the supervisor, which
// connects to the host's.
type socketRelay struct {
	streams opener
	slots   chan struct{} // of connections at once
}

// listenSockets makes the sockets in the folder.
func listenSockets(streams opener, folder string, sockets []api.Socket) error {
	if len(sockets) == 0 {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	r := &socketRelay{streams: streams, slots: make(chan struct{}, api.MaxSocketConnections)}
	for _, s := range sockets {
		path := filepath.Join(folder, filepath.Base(s.Name))
		if err := r.listen(path, s); err != nil {
			return fmt.Errorf("listen in the place of a socket of the host: %w", err)
		}
		// The mode last: chown clears some of its bits.
		if err := os.Chown(path, int(s.UID), int(s.GID)); err != nil {
			return err
		}
		if err := unix.Chmod(path, s.Mode); err != nil {
			return &os.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	return nil
}

func (r *socketRelay) listen(path string, s api.Socket) error {
	network := map[string]string{
		api.SocketStream: "unix", api.SocketSeqpacket: "unixpacket", api.SocketDatagram: "unixgram",
	}[s.Type]
	address := &net.UnixAddr{Name: path, Net: network}
	if s.Type == api.SocketDatagram {
		conn, err := net.ListenUnixgram(network, address)
		if err == nil {
			err = passCredentials(conn)
		}
		if err != nil {
			return err
		}
		guarded(func() { r.serveDatagrams(conn, s) })
		return nil
	}
	listener, err := net.ListenUnix(network, address)
	if err != nil {
		return err
	}
	guarded(func() { r.serve(listener, s) })
	return nil
}

// passCredentials has each datagram come with its sender.
func passCredentials(conn *net.UnixConn) error {
	return control(conn, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
}

// control calls f with the connection's descriptor.
func control(conn *net.UnixConn, f func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	if failed != nil {
		return failed
	}
	return err
}

// serve accepts as many connections as can be relayed.
func (r *socketRelay) serve(listener *net.UnixListener, s api.Socket) {
	for {
		r.slots <- struct{}{}
		conn, err := listener.AcceptUnix()
		if err != nil {
			<-r.slots
			// Out of descriptors or memory: it passes.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		guarded(func() {
			defer func() { <-r.slots }()
			r.relay(conn, s)
		})
	}
}

// relay joins a connection with a stream.
func (r *socketRelay) relay(conn *net.UnixConn, s api.Socket) {
	defer conn.Close()
	peer, err := peerOf(conn)
	if err != nil {
		return
	}
	stream, err := r.open(api.Open{Kind: api.KindSocket, Socket: s.Name, Peer: peer})
	if err != nil {
		return
	}
	defer stream.Close()
	sent := make(chan struct{})
	guarded(func() {
		defer close(sent)
		relay.Send(stream, conn, s.Type == api.SocketSeqpacket)
	})
	relay.Receive(conn, stream)
	<-sent
}

// serveDatagrams carries the datagrams of a socket by one stream.
func (r *socketRelay) serveDatagrams(conn *net.UnixConn, s api.Socket) {
	stream, err := r.open(api.Open{Kind: api.KindSocket, Socket: s.Name})
	if err == nil {
		defer stream.Close()
		// It ends with the session.
		_ = relay.SendDatagrams(stream, conn)
	}
	_ = conn.Close()
}

func (r *socketRelay) open(o api.Open) (*yamux.Stream, error) {
	stream, err := r.streams.OpenStream()
	if err != nil {
		return nil, err
	}
	if err := api.Write(stream, o); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return stream, nil
}

// peerOf is the user who has connected, as that was then.
func peerOf(conn *net.UnixConn) (*api.Peer, error) {
	var peer api.Peer
	err := control(conn, func(fd int) error {
		user, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return err
		}
		peer.UID, peer.GID = user.Uid, user.Gid
		peer.Groups, err = peerGroups(fd)
		return err
	})
	return &peer, err
}

// peerGroups are the supplementary groups of who has connected. A kernel before
// 4.13 does not tell: none, then.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups)) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return groups[:size/4], nil
		case unix.ENOPROTOOPT:
			return nil, nil
		case unix.ERANGE: // size is what it takes
			groups = make([]uint32, size/4)
		default:
			return nil, os.NewSyscallError("getsockopt", errno)
		}
	}
}
