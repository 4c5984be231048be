package net

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
)

// BenchmarkThroughput compares TCP through the filters and two taps (the
// product's and the one that stands in for the VM, with a user-space copy
// between them) with TCP over the same plain veth, which the container's own
// stack uses; in the bridge mode, that stack is behind a copy as well.
func BenchmarkThroughput(b *testing.B) {
	for _, bc := range []struct {
		name, mode string
		from, to   func(*wire) *testkit.Namespace
		address    string
	}{
		{"plain veth", plan.ModeTC, (*wire).containerSide, (*wire).outsideSide, outside4},
		{"VM to outside", plan.ModeTC, (*wire).guestSide, (*wire).outsideSide, outside4},
		{"outside to VM", plan.ModeTC, (*wire).outsideSide, (*wire).guestSide, vm4},
		{"bridge, container's stack", plan.ModeBridge, (*wire).containerSide, (*wire).outsideSide, outside4},
		{"bridge, VM to outside", plan.ModeBridge, (*wire).guestSide, (*wire).outsideSide, outside4},
		{"bridge, outside to VM", plan.ModeBridge, (*wire).outsideSide, (*wire).guestSide, vm4},
	} {
		b.Run(bc.name, func(b *testing.B) {
			w := newWire(b, wireOptions{mode: bc.mode})
			stream(b, bc.from(w), bc.to(w), net.JoinHostPort(bc.address, "92"))
		})
	}
}

func (w *wire) containerSide() *testkit.Namespace { return w.container }
func (w *wire) outsideSide() *testkit.Namespace   { return w.outside }
func (w *wire) guestSide() *testkit.Namespace     { return w.guest }

// stream sends b.N MiB over one connection, and counts what has arrived.
func stream(b *testing.B, from, to *testkit.Namespace, address string) {
	b.Helper()
	var l net.Listener
	to.Run(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	defer l.Close()
	received := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			received <- 0
			return
		}
		defer c.Close()
		// A plain buffer on both sides: splice(2) would flatter the veth.
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 1<<20))
		received <- n
	}()
	var c net.Conn
	testkit.Eventually(b, within, func() error {
		return from.Try(func() (err error) {
			c, err = net.DialTimeout("tcp", address, 2*time.Second)
			return err
		})
	})
	defer c.Close()
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	_ = c.Close()
	if n := <-received; n != int64(b.N)*int64(len(chunk)) {
		b.Errorf("%d bytes arrived, want %d", n, b.N*len(chunk))
	}
	b.StopTimer()
}
