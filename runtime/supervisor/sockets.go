package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/guest/relay"
	"github.com/runcvm/runcvm/runtime/sockets"
)

// hostSocket is a socket of the plan.
type hostSocket struct {
	plan.Socket
	socket *sockets.Socket
}

// guest is the socket that stands for it in the guest.
func (h hostSocket) guest() api.Socket {
	return api.Socket{Name: h.Volume, Type: h.Type, Mode: h.socket.Mode, UID: h.socket.UID, GID: h.socket.GID}
}

// openSockets finds the plan's sockets where the container's mounts have put
// them, before anything of the guest's runs: they are those that it may connect
// to, and stay so.
func (s *Supervisor) openSockets(context.Context) error {
	s.sockets = map[string]hostSocket{}
	for _, p := range s.plan.Sockets {
		socket, err := sockets.Open(filepath.Join(plan.VolumesMount, p.Volume))
		if err != nil {
			return fmt.Errorf("the socket %s: %w", p.HostPath, err)
		}
		s.sockets[p.Volume] = hostSocket{p, socket}
	}
	return nil
}

// relaySocket joins a stream that the guest opened with a connection to the
// host's socket.
func (s *Supervisor) relaySocket(stream io.ReadWriteCloser, open api.Open) {
	defer stream.Close()
	h, known := s.sockets[open.Socket]
	var err error
	switch {
	case !known:
		err = fmt.Errorf("the guest asked for the socket %q, which the plan does not have", open.Socket)
	case h.Type == plan.SocketDatagram:
		err = h.relayDatagrams(stream, s.log)
	default:
		err = h.relay(stream, open.Peer)
	}
	if err != nil {
		s.log.Warn("socket relay", "socket", h.HostPath, "error", err)
	}
}

// relay relays one connection, which ends at once when the host's socket refuses
// it.
func (h hostSocket) relay(stream io.ReadWriteCloser, peer *api.Peer) error {
	if peer == nil {
		return errors.New("the guest did not say who has connected")
	}
	conn, err := h.socket.Connect(h.Type, sockets.User(*peer))
	if err != nil {
		return err
	}
	var sent sync.WaitGroup
	sent.Go(func() { relay.Send(stream, conn, h.Type == plan.SocketSeqpacket) })
	relay.Receive(conn, stream)
	sent.Wait()
	return nil
}

// relayDatagrams sends what the guest's socket receives. What cannot be sent is
// lost, which the log says of the first.
func (h hostSocket) relayDatagrams(stream io.Reader, log *slog.Logger) error {
	var once sync.Once
	failed := func(err error) {
		once.Do(func() { log.Warn("socket relay", "socket", h.HostPath, "error", err) })
	}
	to, err := h.socket.Datagrams()
	if err != nil {
		failed(err)
	} else {
		defer to.Close()
	}
	err = relay.ReceiveDatagrams(stream, func(d relay.Datagram) {
		if to == nil {
			return
		}
		if err := to.Send(d.Data, d.UID, d.GID); err != nil {
			failed(err)
		}
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
