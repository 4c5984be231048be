package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// limit bounds each wait.
const limit = 20 * time.Second

// streams returns the two ends of a stream.
func streams(t *testing.T) (a, b *yamux.Stream) {
	t.Helper()
	ours, theirs := net.Pipe()
	client, err := yamux.Client(ours, api.SessionConfig())
	if err != nil {
		t.Fatal(err)
	}
	server, err := yamux.Server(theirs, api.SessionConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	if a, err = client.OpenStream(); err != nil {
		t.Fatal(err)
	}
	if b, err = server.AcceptStream(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// pair is a connection: two sockets of this type.
func pair(t *testing.T, kind int) (a, b *net.UnixConn) {
	t.Helper()
	network := map[int]string{unix.SOCK_STREAM: "unix", unix.SOCK_SEQPACKET: "unixpacket"}[kind]
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if a, err = net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network}); err != nil {
		t.Fatal(err)
	}
	if b, err = listener.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []*net.UnixConn{a, b} {
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// relayed is a client and a server whose connection goes over a stream. Both ends
// of the relay have ended when ended is closed.
type relayed struct {
	client, server *net.UnixConn
	ended          <-chan struct{}
}

func relays(t *testing.T, kind int) relayed {
	t.Helper()
	client, near := pair(t, kind)
	far, server := pair(t, kind)
	a, b := streams(t)
	var all sync.WaitGroup
	for _, end := range []struct {
		stream *yamux.Stream
		conn   *net.UnixConn
	}{{a, near}, {b, far}} {
		_ = end.conn.SetDeadline(time.Time{})
		all.Go(func() { Send(end.stream, end.conn, kind == unix.SOCK_SEQPACKET) })
		all.Go(func() { Receive(end.conn, end.stream) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	return relayed{client, server, ended}
}

// end waits for the end of the relay.
func (r relayed) end(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(limit):
		t.Fatal("the relay did not end")
	}
}

func send(t *testing.T, conn *net.UnixConn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v, want %q", got, err, want)
	}
}

func atEnd(t *testing.T, conn *net.UnixConn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v, want the end", rest, err)
	}
}

func TestHalfClose(t *testing.T) {
	r := relays(t, unix.SOCK_STREAM)
	send(t, r.client, "question")
	receive(t, r.server, "question")
	if err := r.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	atEnd(t, r.server)
	// The other direction lives on, over more than one frame's bytes.
	answer := bytes.Repeat([]byte("answer"), 100_000)
	go func() {
		_, _ = r.server.Write(answer)
		_ = r.server.CloseWrite()
	}()
	if got, err := io.ReadAll(r.client); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	r.end(t) // nobody has closed: both have nothing more to say
}

// TestClose has an end go that reads and writes nothing any more, which the other
// one sees though nothing is sent.
func TestClose(t *testing.T) {
	for name, of := range map[string]func(relayed) (goes, stays *net.UnixConn){
		"client": func(r relayed) (goes, stays *net.UnixConn) { return r.client, r.server },
		"server": func(r relayed) (goes, stays *net.UnixConn) { return r.server, r.client },
	} {
		t.Run(name, func(t *testing.T) {
			r := relays(t, unix.SOCK_STREAM)
			goes, stays := of(r)
			send(t, goes, "last words")
			if err := goes.Close(); err != nil {
				t.Fatal(err)
			}
			receive(t, stays, "last words")
			atEnd(t, stays)
			r.end(t)
			if _, err := stays.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("a write to who has gone: %v", err)
			}
		})
	}
}

// TestCloseAfterHalf has the client go that had only ended its direction.
func TestCloseAfterHalf(t *testing.T) {
	r := relays(t, unix.SOCK_STREAM)
	if err := r.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	atEnd(t, r.server)
	send(t, r.server, "still heard")
	receive(t, r.client, "still heard")
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	r.end(t)
}

// TestCloseWhileWritten has the reader go in the middle of what fills every
// buffer.
func TestCloseWhileWritten(t *testing.T) {
	r := relays(t, unix.SOCK_STREAM)
	written := make(chan error, 1)
	go func() {
		for {
			if _, err := r.server.Write(make([]byte, 1<<20)); err != nil {
				written <- err
				return
			}
		}
	}()
	receive(t, r.client, string(make([]byte, 10)))
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the writer: %v", err)
	}
	r.end(t)
}

func TestBackpressure(t *testing.T) {
	r := relays(t, unix.SOCK_STREAM)
	const most = 8 << 20
	if err := r.server.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := r.server.Write(make([]byte, 10*most))
	if err == nil || n > most {
		t.Errorf("%d bytes went to a reader that reads nothing: %v", n, err)
	}
	if _, err := io.ReadFull(r.client, make([]byte, n)); err != nil {
		t.Error(err)
	}
}

func TestPackets(t *testing.T) {
	r := relays(t, unix.SOCK_SEQPACKET)
	sizes := []int{1, 70_000, 3}
	for _, size := range sizes {
		if _, err := r.client.Write(bytes.Repeat([]byte{byte(size)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, MaxPacket)
	for _, size := range sizes {
		if n, err := r.server.Read(buffer); err != nil || n != size || buffer[n-1] != byte(size) {
			t.Errorf("a packet of %d bytes, %v, want %d", n, err, size)
		}
	}
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	r.end(t)
}

// TestBadFrames has a peer that does not keep to the protocol.
func TestBadFrames(t *testing.T) {
	for name, sent := range map[string][]byte{
		"too long": binary.BigEndian.AppendUint32(nil, MaxPacket+1),
		"cut":      append(binary.BigEndian.AppendUint32(nil, 5), "abc"...),
	} {
		client, near := pair(t, unix.SOCK_STREAM)
		a, b := streams(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			Receive(near, a)
			_ = a.Close()
		}()
		if _, err := b.Write(sent); err != nil {
			t.Fatal(err)
		}
		_ = b.Close()
		<-done
		if _, err := io.ReadAll(client); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := ReceiveDatagrams(bytes.NewReader(sent), nil); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ReceiveDatagrams(bytes.NewReader([]byte("\x00\x00\x00\x01x")), nil); err == nil {
		t.Error("a datagram without its sender was taken")
	}
}

func TestDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, b := streams(t)
	go func() {
		_ = SendDatagrams(a, conn)
		_ = a.Close()
	}()
	client, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	want := []string{"one", "", string(bytes.Repeat([]byte("x"), 100_000))}
	go func() {
		for _, text := range want {
			_, _ = client.Write([]byte(text))
		}
		// A descriptor does not go along.
		_ = unix.Sendmsg(fdOf(client), []byte("end"), unix.UnixRights(0), nil, 0)
	}()
	var got []string
	err = ReceiveDatagrams(b, func(d Datagram) {
		got = append(got, string(d.Data))
		if int(d.UID) != syscall.Getuid() || int(d.GID) != syscall.Getgid() {
			t.Errorf("from %d:%d", d.UID, d.GID)
		}
		if string(d.Data) == "end" {
			_ = conn.Close()
		}
	})
	if !errors.Is(err, io.EOF) || len(got) != 4 || got[0] != want[0] || got[1] != "" || got[2] != want[2] {
		t.Errorf("%d datagrams, %v", len(got), err)
	}
}

// fdOf is a connection's descriptor, which stays the connection's.
func fdOf(conn *net.UnixConn) (fd int) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(f uintptr) { fd = int(f) })
	}
	return fd
}
