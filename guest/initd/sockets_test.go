package initd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/guest/relay"
	"github.com/runcvm/runcvm/internal/testkit"
)

// echoing plays the supervisor: each connection gets back what it sends, after
// a frame with the name of its socket and its peer.
func echoing(t *testing.T, supervisor *yamux.Session, datagrams chan<- string) {
	eachStream(t, supervisor, api.KindSocket, func(stream *yamux.Stream, open api.Open) {
		if open.Peer == nil {
			_ = relay.ReceiveDatagrams(stream, func(d relay.Datagram) {
				datagrams <- fmt.Sprintf("%s %d:%d %s", open.Socket, d.UID, d.GID, d.Data)
			})
			return
		}
		frame := fmt.Sprintf("%s %d:%d", open.Socket, open.Peer.UID, open.Peer.GID)
		_, _ = stream.Write(append([]byte{0, 0, 0, byte(len(frame))}, frame...))
		_, _ = io.Copy(stream, stream)
	})
}

func TestListenSockets(t *testing.T) {
	testkit.Require(t, testkit.Root)
	guest, supervisor := sessions(t)
	datagrams := make(chan string, 1)
	go echoing(t, supervisor, datagrams)
	dir := filepath.Join(t.TempDir(), "sockets")
	err := listenSockets(guest, dir, []api.Socket{
		{Name: "0", Type: api.SocketStream, Mode: 0o660, UID: 12, GID: 34},
		{Name: "3", Type: api.SocketDatagram, Mode: 0o622},
		{Name: "4", Type: api.SocketSeqpacket, Mode: 0o700},
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "0"))
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for name, network := range map[string]string{"0": "unix", "4": "unixpacket"} {
		conn, err := net.DialUnix(network, nil, &net.UnixAddr{Name: filepath.Join(dir, name), Net: network})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		buffer := make([]byte, 100)
		n, err := conn.Read(buffer)
		if want := name + " 0:0"; err != nil || string(buffer[:n]) != want {
			t.Errorf("%q, %v, want %q", buffer[:n], err, want)
		}
		if _, err := conn.Write([]byte("there and back")); err != nil {
			t.Fatal(err)
		}
		if n, err = conn.Read(buffer); err != nil || string(buffer[:n]) != "there and back" {
			t.Errorf("%q, %v", buffer[:n], err)
		}
	}
	conn, err := net.Dial("unixgram", filepath.Join(dir, "3"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-datagrams:
		if got != "3 0:0 text" {
			t.Errorf("%q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("no datagram came")
	}
}

// TestSocketsBounded has more connections than are relayed at once.
func TestSocketsBounded(t *testing.T) {
	guest, supervisor := sessions(t)
	opened := make(chan *yamux.Stream, 2*api.MaxSocketConnections)
	go func() {
		for {
			stream, err := supervisor.AcceptStream()
			if err != nil {
				return
			}
			opened <- stream
		}
	}()
	dir := t.TempDir()
	if err := listenSockets(guest, dir, []api.Socket{{Name: "0", Type: api.SocketStream, Mode: 0o777, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}}); err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range api.MaxSocketConnections + 1 {
		conn, err := net.Dial("unix", filepath.Join(dir, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	var streams []*yamux.Stream
	for i := range api.MaxSocketConnections {
		select {
		case stream := <-opened:
			streams = append(streams, stream)
		case <-time.After(20 * time.Second):
			t.Fatalf("only %d streams", i)
		}
	}
	select {
	case <-opened:
		t.Error("one more connection is relayed than may be")
	case <-time.After(50 * time.Millisecond):
	}
	// The host's server has gone: its connection ends, and another one has its turn.
	_ = streams[0].Close()
	select {
	case stream := <-opened:
		streams = append(streams, stream)
	case <-time.After(20 * time.Second):
		t.Error("the connection that waited is not relayed")
	}
	// Each relay ends before the session does, at which many that wait for it would
	// keep the processor busy.
	for _, stream := range streams {
		_ = stream.Close()
	}
	for _, conn := range conns {
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v, want the end", rest, err)
		}
	}
}

// TestPeerGroups has a process in more groups than fit at first.
func TestPeerGroups(t *testing.T) {
	testkit.Require(t, testkit.Root)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var groups []uint32
	for i := range uint32(40) {
		groups = append(groups, 1000+i)
	}
	cmd := exec.Command("perl", "-MIO::Socket::UNIX", "-e", "IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!", listener.Addr().String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 0, Gid: 7, Groups: groups}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conn, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := peerOf(conn)
	if err != nil || peer.UID != 0 || peer.GID != 7 || !slices.Equal(peer.Groups, groups) {
		t.Errorf("%+v, %v", peer, err)
	}
}
