package net

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/yamux"

	"github.com/runcvm/runcvm/internal/testkit"
)

// query is a DNS query for the A record of "example" with EDNS.
func query(id uint16) []byte {
	q := binary.BigEndian.AppendUint16(nil, id)
	q = append(q, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1)
	q = append(q, "\x07example\x00\x00\x01\x00\x01"...)
	return append(q, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
}

// answerTo is an answer of the given size, with the truncation flag.
func answerTo(q []byte, size int) []byte {
	a := make([]byte, size)
	copy(a, q)
	a[2] |= 0x82
	return a
}

// resolver is a UDP server at Docker's address in the namespace. serve gets
// each query with its number.
func resolver(t *testing.T, n *testkit.Namespace, serve func(number int64, q []byte) [][]byte) {
	t.Helper()
	var conn net.PacketConn
	n.Run(func() (err error) {
		conn, err = net.ListenPacket("udp", DockerResolver)
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, maxDNSMessage)
		for number := int64(1); ; number++ {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, a := range serve(number, bytes.Clone(buf[:size])) {
				_, _ = conn.WriteTo(a, from)
			}
		}
	}()
}

// relayed runs Serve in the namespace over a real yamux stream and returns the
// guest's end.
func relayed(t *testing.T, n *testkit.Namespace, d *DNSRelay, network string) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	quiet := yamux.DefaultConfig()
	quiet.LogOutput = io.Discard
	client, err := yamux.Client(a, quiet)
	if err != nil {
		t.Fatal(err)
	}
	server, err := yamux.Server(b, quiet)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := client.Open()
	if err != nil {
		t.Fatal(err)
	}
	host, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	// The sockets of queries are made on other goroutines, so the whole test
	// process would have to be in the namespace: dial through a hook instead.
	d.dial = func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = n.Try(func() error {
			c, err = (&net.Dialer{Timeout: d.timeout()}).DialContext(ctx, network, address)
			return err
		})
		return c, err
	}
	go func() { ended <- d.Serve(ctx, host, network) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Logf("Serve: %v", err)
			}
		case <-time.After(within):
			t.Error("Serve did not end with its context")
		}
		_, _ = client.Close(), server.Close()
	})
	_ = guest.SetDeadline(time.Now().Add(within))
	return guest
}

func exchange(t *testing.T, c net.Conn, q []byte) []byte {
	t.Helper()
	if _, err := c.Write(frameDNS(q)); err != nil {
		t.Fatal(err)
	}
	a, err := readDNS(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDNSOverUDP(t *testing.T) {
	n := testkit.NewNamespace(t)
	resolver(t, n, func(_ int64, q []byte) [][]byte {
		stray := answerTo(q, 40)
		stray[0]++ // another query's answer comes first
		return [][]byte{stray, answerTo(q, 4000)}
	})
	c := relayed(t, n, &DNSRelay{}, "udp")
	for id := range uint16(100) {
		if got, want := exchange(t, c, query(id)), answerTo(query(id), 4000); !bytes.Equal(got, want) {
			t.Fatalf("query %d: answer differs:\n%s", id, cmp.Diff(want, got))
		}
	}
	// Many at once: answers by ID, in any order.
	const parallel = 500
	go func() {
		for id := range uint16(parallel) {
			_, _ = c.Write(frameDNS(query(id)))
		}
	}()
	seen := map[uint16]bool{}
	for range parallel {
		a, err := readDNS(c)
		if err != nil {
			t.Fatal(err)
		}
		seen[binary.BigEndian.Uint16(a)] = len(a) == 4000
	}
	if len(seen) != parallel {
		t.Errorf("%d of %d queries were answered", len(seen), parallel)
	}
}

func TestDNSOverUDPRepeats(t *testing.T) {
	n := testkit.NewNamespace(t)
	var queries atomic.Int64
	resolver(t, n, func(number int64, q []byte) [][]byte {
		queries.Store(number)
		if number == 1 {
			return nil // lost
		}
		return [][]byte{answerTo(q, 100)}
	})
	c := relayed(t, n, &DNSRelay{Timeout: 600 * time.Millisecond}, "udp")
	if got := exchange(t, c, query(7)); !bytes.Equal(got, answerTo(query(7), 100)) {
		t.Errorf("got %x", got)
	}
	if queries.Load() != 2 {
		t.Errorf("the query was sent %d times, want 2", queries.Load())
	}
}

func TestDNSServerFailure(t *testing.T) {
	n := testkit.NewNamespace(t)
	refused := relayed(t, n, &DNSRelay{}, "udp") // nobody listens
	start := time.Now()
	got := exchange(t, refused, query(0x1234))
	want := []byte("\x12\x34\x81\x02\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("SERVFAIL: %s", d)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a refused query took %v", took)
	}
	resolver(t, n, func(int64, []byte) [][]byte { return nil })
	if d := cmp.Diff(want, exchange(t, relayed(t, n, &DNSRelay{Timeout: 90 * time.Millisecond}, "udp"), query(0x1234))); d != "" {
		t.Errorf("SERVFAIL after the timeout: %s", d)
	}
}

func TestServerFailureOfOddQueries(t *testing.T) {
	head := "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for name, q := range map[string]string{
		"no question":    "\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"cut in a label": head + "\x3fabc",
		"cut after name": head + "\x01a\x00\x00",
		"pointer":        head + "\xc0\x0c\x00\x01\x00\x01",
		"two questions":  "\x00\x01\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x01\x00\x01",
	} {
		if got := serverFailure([]byte(q)); string(got) != "\x00\x01\x81\x02\x00\x00\x00\x00\x00\x00\x00\x00" {
			t.Errorf("%s: got %x", name, got)
		}
	}
}

func TestDNSOverTCP(t *testing.T) {
	n := testkit.NewNamespace(t)
	var l net.Listener
	n.Run(func() (err error) { l, err = net.Listen("tcp", DockerResolver); return err })
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					q, err := readDNS(c)
					if err != nil {
						return
					}
					_, _ = c.Write(frameDNS(answerTo(q, maxDNSMessage)))
				}
			}()
		}
	}()
	c := relayed(t, n, &DNSRelay{}, "tcp")
	for id := range uint16(5) {
		if got := exchange(t, c, query(id)); !bytes.Equal(got, answerTo(query(id), maxDNSMessage)) {
			t.Fatalf("query %d: an answer of %d bytes differs", id, len(got))
		}
	}
	if err := c.Close(); err != nil { // yamux half-close: the guest has no more queries
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the guest's end: %v, want EOF", err)
	}

	// Long enough for a busy host to answer first.
	idle := relayed(t, n, &DNSRelay{IdleTimeout: 3 * time.Second}, "tcp")
	exchange(t, idle, query(1))
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection: %v, want EOF", err)
	}
}

func TestDNSRefusesBadStreams(t *testing.T) {
	n := testkit.NewNamespace(t)
	for name, sent := range map[string]string{
		"shorter than a header": "\x00\x03abc",
		"empty":                 "\x00\x00",
	} {
		c := relayed(t, n, &DNSRelay{}, "udp")
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want EOF", name, err)
		}
	}
	c := relayed(t, n, &DNSRelay{}, "sctp")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an unknown network: %v, want EOF", err)
	}
	c = relayed(t, n, &DNSRelay{}, "tcp") // nobody listens
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(fmt.Errorf("no resolver: %w, want EOF", err))
	}
}
