package net

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// DNSRelay carries DNS messages between the guest and the resolver of the
// container's network namespace. The zero value asks Docker's.
type DNSRelay struct {
	// Server is the resolver's address and port; DockerResolver when empty.
	Server string
	// Timeout bounds one query over UDP with its repetitions, and connecting
	// over TCP; 5 s when zero, which is what resolvers wait.
	Timeout time.Duration
	// IdleTimeout ends a TCP connection on which nothing moves; 2 min when zero.
	IdleTimeout time.Duration

	// dial replaces net.Dialer, for tests in which only some threads are in the
	// resolver's network namespace.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	dnsHeader = 12 // bytes, RFC 1035, 4.1.1
	// maxDNSMessage is what two bytes of length can say.
	maxDNSMessage = 1<<16 - 1
	// dnsSends is how often a query is sent over UDP.
	dnsSends = 3
	// dnsInFlight bounds the queries of one stream that wait for an answer. The
	// container's stack has 256 local ports.
	dnsInFlight = 32
)

func (d DNSRelay) server() string {
	if d.Server != "" {
		return d.Server
	}
	return DockerResolver
}

func (d DNSRelay) connect(ctx context.Context, network string) (net.Conn, error) {
	if d.dial != nil {
		return d.dial(ctx, network, d.server())
	}
	return (&net.Dialer{Timeout: d.timeout()}).DialContext(ctx, network, d.server())
}

func (d DNSRelay) timeout() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return 5 * time.Second
}

func (d DNSRelay) idleTimeout() time.Duration {
	if d.IdleTimeout > 0 {
		return d.IdleTimeout
	}
	return 2 * time.Minute
}

// Serve relays the messages of one stream, each prefixed with its length in two
// bytes, over network "udp" or "tcp", until the guest ends the stream or ctx is
// done, and closes the stream. Messages pass unchanged, the truncation flag
// included. Over UDP the answers come in any order, and a query that cannot be
// answered is answered with SERVFAIL.
func (d DNSRelay) Serve(ctx context.Context, stream io.ReadWriteCloser, network string) error {
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { end(stream) })
	defer stop()
	switch network {
	case "udp":
		return d.serveUDP(ctx, stream)
	case "tcp":
		return d.serveTCP(ctx, stream)
	}
	return fmt.Errorf("relay DNS over %q: only udp and tcp are known", network)
}

// end closes the stream and ends a Read that waits on it. Closing one's own end
// of a yamux stream is a half-close, and a Read goes on.
func end(stream io.ReadWriteCloser) {
	_ = stream.Close()
	if s, ok := stream.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = s.SetReadDeadline(time.Unix(1, 0))
	}
}

func (d DNSRelay) serveUDP(ctx context.Context, stream io.ReadWriter) error {
	var (
		queries sync.WaitGroup
		writing sync.Mutex
		slots   = make(chan struct{}, dnsInFlight)
		in      = bufio.NewReader(stream)
	)
	defer queries.Wait()
	for {
		query, err := readDNS(in)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a DNS query from the guest: %w", err)
		}
		slots <- struct{}{}
		queries.Go(func() {
			defer func() { <-slots }()
			answer, err := d.ask(ctx, query)
			if err != nil {
				slog.Debug("a DNS query has no answer", "server", d.server(), "error", err)
				answer = serverFailure(query)
			}
			writing.Lock()
			defer writing.Unlock()
			// A write error shows on the reading side, too.
			_, _ = stream.Write(frameDNS(answer))
		})
	}
}

// ask sends the query over UDP and returns the answer with the query's ID. A
// new socket for each query keeps an answer from reaching another query with
// the same ID.
func (d DNSRelay) ask(ctx context.Context, query []byte) ([]byte, error) {
	conn, err := d.connect(ctx, "udp")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	answer := make([]byte, maxDNSMessage)
	for range dnsSends {
		if _, err := conn.Write(query); err != nil {
			return nil, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(d.timeout() / dnsSends)); err != nil {
			return nil, err
		}
		n, err := readAnswer(conn, answer, query)
		if err == nil {
			return answer[:n], nil
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no answer within %v", d.timeout())
}

// readAnswer waits for a message with the query's ID.
func readAnswer(conn net.Conn, answer, query []byte) (int, error) {
	for {
		n, err := conn.Read(answer)
		if err != nil {
			return 0, err
		}
		if n >= dnsHeader && answer[0] == query[0] && answer[1] == query[1] {
			return n, nil
		}
	}
}

// serveTCP pipes: DNS over TCP has the same framing (RFC 1035, 4.2.2).
func (d DNSRelay) serveTCP(ctx context.Context, stream io.ReadWriteCloser) error {
	conn, err := d.connect(ctx, "tcp")
	if err != nil {
		return fmt.Errorf("connect to the container's resolver: %w", err)
	}
	defer conn.Close()
	// The timer ends both directions: the stream itself knows no deadlines.
	idle := time.AfterFunc(d.idleTimeout(), func() { _ = conn.Close(); end(stream) })
	defer idle.Stop()
	busy := func() { idle.Reset(d.idleTimeout()) }

	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = io.Copy(activeWriter{conn, busy}, stream)
		// The guest has no more queries, but may wait for answers.
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(activeWriter{stream, busy}, conn)
	end(stream)
	_ = conn.Close()
	<-asked
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

// activeWriter tells of each write.
type activeWriter struct {
	io.Writer
	active func()
}

func (w activeWriter) Write(p []byte) (int, error) {
	w.active()
	return w.Writer.Write(p)
}

// readDNS reads one message with its length. A message shorter than a header
// is an error, since it cannot be answered.
func readDNS(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n < dnsHeader {
		return nil, fmt.Errorf("a DNS message of %d bytes is shorter than its header", n)
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return message, nil
}

func frameDNS(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

// serverFailure answers a query with the response code 2, as a resolver does
// that cannot reach its upstreams: the guest's program fails at once instead of
// waiting.
func serverFailure(query []byte) []byte {
	const (
		response         = 0x80 // in the third byte, whose other bits are kept: opcode and RD
		truncated, authd = 0x02, 0x04
		serverFailed     = 2
	)
	answer := append([]byte(nil), query...)
	answer[2] = answer[2]&^(truncated|authd) | response
	answer[3] = serverFailed
	// Only the question is repeated; what followed it, EDNS included, is not.
	end, ok := endOfQuestion(query)
	if !ok {
		end = dnsHeader
		clear(answer[4:6])
	}
	clear(answer[6:dnsHeader])
	return answer[:end]
}

// endOfQuestion finds the end of a query's one question.
func endOfQuestion(query []byte) (int, bool) {
	if binary.BigEndian.Uint16(query[4:6]) != 1 {
		return 0, false
	}
	i := dnsHeader
	for i < len(query) && query[i] != 0 {
		if query[i]&0xc0 != 0 {
			return 0, false // a pointer has nothing to point at here
		}
		i += int(query[i]) + 1
	}
	i += 5 // the root label, type and class
	return i, i <= len(query)
}
