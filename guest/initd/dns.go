package initd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

const (
	dnsPort = 53
	// dnsTimeout is how long an answer may take: resolvers give up after 5 s by
	// default, and ask again.
	dnsTimeout = 15 * time.Second
	// dnsIdle is how long a TCP connection may stay silent.
	dnsIdle = time.Minute
	// dnsMax is how many queries and connections are served at once. More are
	// dropped, or refused: their askers try again.
	dnsMax = 256
	// dnsHeader is the size of a DNS message's header, the least that a message
	// can be (RFC 1035, 4.1.1).
	dnsHeader = 12
)

// opener opens a stream to the supervisor.
type opener interface {
	OpenStream() (*yamux.Stream, error)
}

// dnsRelay hands the container's DNS queries to the supervisor, which asks the
// container's own resolver.
type dnsRelay struct {
	streams opener
	slots   chan struct{}
}

// startDNS listens where Docker's resolver is in a container.
func startDNS(streams opener) error {
	address := net.IPv4(127, 0, 0, 11)
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: address, Port: dnsPort})
	if err != nil {
		return fmt.Errorf("relay DNS: %w", err)
	}
	tcp, err := listenTCP(address)
	if err != nil {
		_ = udp.Close()
		return fmt.Errorf("relay DNS: %w", err)
	}
	d := &dnsRelay{streams: streams, slots: make(chan struct{}, dnsMax)}
	guarded(func() { d.serveUDP(udp) })
	guarded(func() { d.serveTCP(tcp) })
	return nil
}

// listenTCP listens at the address. Package net's own way would first try
// Multipath TCP, which is slow to set up at boot.
func listenTCP(address net.IP) (net.Listener, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "dns")
	defer f.Close() // the listener has a copy
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: dnsPort, Addr: [4]byte(address.To4())}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, dnsMax); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return net.FileListener(f)
}

// take reserves a slot if one is free.
func (d *dnsRelay) take() bool {
	select {
	case d.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (d *dnsRelay) release() { <-d.slots }

func (d *dnsRelay) serveUDP(conn *net.UDPConn) {
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Any other error is one datagram's. What is too short is no query.
		if err != nil || n < dnsHeader || !d.take() {
			continue
		}
		query := binary.BigEndian.AppendUint16(make([]byte, 0, 2+n), uint16(n))
		query = append(query, buffer[:n]...)
		guarded(func() {
			defer d.release()
			// Without an answer, the asker's own timeout does its work.
			if answer, err := d.ask(query); err == nil {
				_, _ = conn.WriteToUDPAddrPort(answer, from)
			}
		})
	}
}

// ask sends a query with its length and returns the answer without.
func (d *dnsRelay) ask(query []byte) ([]byte, error) {
	stream, err := d.open("udp")
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	if err := stream.SetDeadline(time.Now().Add(dnsTimeout)); err != nil {
		return nil, err
	}
	if _, err := stream.Write(query); err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err = io.ReadFull(stream, answer)
	return answer, err
}

func (d *dnsRelay) open(network string) (*yamux.Stream, error) {
	stream, err := d.streams.OpenStream()
	if err != nil {
		return nil, err
	}
	if err := api.Write(stream, api.Open{Kind: api.KindDNS, Network: network}); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return stream, nil
}

func (d *dnsRelay) serveTCP(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors or memory: it passes.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if !d.take() {
			_ = conn.Close()
			continue
		}
		guarded(func() {
			defer d.release()
			d.pipe(conn.(*net.TCPConn))
		})
	}
}

// pipe joins a connection with a stream: DNS over TCP has the stream's framing.
func (d *dnsRelay) pipe(conn *net.TCPConn) {
	defer conn.Close()
	stream, err := d.open("tcp")
	if err != nil {
		return
	}
	defer stream.Close()
	sent := make(chan struct{})
	guarded(func() {
		defer close(sent)
		copyIdle(stream, conn)
		_ = stream.Close()
	})
	copyIdle(conn, stream)
	// The supervisor has ended its side: it answers nothing any more.
	_ = conn.CloseWrite()
	_ = conn.Close()
	<-sent
}

// deadliner is a connection whose reads can be limited.
type deadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// copyIdle copies until the end, an error, or a minute of silence.
func copyIdle(to io.Writer, from deadliner) {
	buffer := make([]byte, 16<<10)
	for {
		if err := from.SetReadDeadline(time.Now().Add(dnsIdle)); err != nil {
			return
		}
		n, err := from.Read(buffer)
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
