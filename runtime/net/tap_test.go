package net

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
)

const within = 15 * time.Second

// listen opens a TCP listener in the namespace that answers each connection
// with who.
func listen(t *testing.T, n *testkit.Namespace, address, who string) {
	t.Helper()
	var l net.Listener
	n.Run(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, who)
			_ = c.Close()
		}
	}()
}

// whoAnswers connects from the namespace and reads what listen's side says.
func whoAnswers(n *testkit.Namespace, address string) (who string, err error) {
	err = n.Try(func() error {
		c, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		data, err := io.ReadAll(c)
		who = string(data)
		return err
	})
	return who, err
}

func expectAnswer(t *testing.T, n *testkit.Namespace, address, want string) {
	t.Helper()
	testkit.Eventually(t, within, func() error {
		who, err := whoAnswers(n, address)
		if err != nil {
			return err
		}
		if who != want {
			return fmt.Errorf("%s is answered by %q, want %q", address, who, want)
		}
		return nil
	})
}

func TestSharedAddress(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options wireOptions
	}{
		{"veth", wireOptions{}},
		{"veth with MTU 1400", wireOptions{mtu: 1400}},
		{"macvlan", wireOptions{macvlan: true}},
		{"four pairs of queues", wireOptions{queues: 4}},
		{"bridge", wireOptions{mode: plan.ModeBridge}},
		{"bridge with MTU 9000", wireOptions{mode: plan.ModeBridge, mtu: 9000}},
		{"bridge of a macvlan", wireOptions{mode: plan.ModeBridge, macvlan: true}},
		{"bridge with four pairs of queues", wireOptions{mode: plan.ModeBridge, queues: 4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWire(t, tc.options)
			for _, family := range []struct{ name, outside, vm string }{
				{"IPv4", outside4, vm4},
				{"IPv6", outside6, vm6},
			} {
				t.Run(family.name, func(t *testing.T) { sharedAddress(t, w, family.outside, family.vm) })
			}
		})
	}
}

// testKept are the reserved ports alone.
func testKept() []plan.PortRange { return Kept(&plan.Network{ReservedPorts: testReserved}) }

// TestKeptPorts has servers of both on ports that stay with the container.
func TestKeptPorts(t *testing.T) {
	for _, mode := range []string{plan.ModeTC, plan.ModeBridge} {
		t.Run(mode, func(t *testing.T) {
			w := newWire(t, wireOptions{mode: mode, kept: []plan.PortRange{
				{Protocol: plan.ProtocolTCP, First: 5900, Last: 5903}, {Protocol: plan.ProtocolUDP, First: 7000, Last: 7000},
			}})
			for _, family := range []struct{ outside, vm string }{{outside4, vm4}, {outside6, vm6}} {
				at := func(port string) string { return net.JoinHostPort(family.vm, port) }
				for port, who := range map[string]string{
					"5899": "guest", "5900": "container", "5903": "container", "5904": "guest", "7000": "guest",
				} {
					listen(t, w.guest, at(port), "guest")
					listen(t, w.container, at(port), "container")
					expectAnswer(t, w.outside, at(port), who)
				}
				udpEcho(t, w.container, at("7000"))
				expectEcho(t, w.outside, at("7000"))
				udpEcho(t, w.guest, at("7001"))
				expectEcho(t, w.outside, at("7001"))
				transfer(t, w.outside, w.container, at("5901"), 4<<20)
				transfer(t, w.container, w.outside, net.JoinHostPort(family.outside, "90"), 4<<20)
			}
		})
	}
}

// TestBridgeWithoutIPv6 has a namespace as Docker makes it: new interfaces have no
// IPv6.
func TestBridgeWithoutIPv6(t *testing.T) {
	w := newWire(t, wireOptions{mode: plan.ModeBridge, before: func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	}})
	if len(w.tap.Lacks) != 1 || !strings.Contains(w.tap.Lacks[0], "eth0") {
		t.Errorf("lacks %q", w.tap.Lacks)
	}
	listen(t, w.guest, net.JoinHostPort(vm6, "80"), "guest")
	expectAnswer(t, w.outside, net.JoinHostPort(vm6, "80"), "guest")
	listen(t, w.container, net.JoinHostPort(vm4, "61200"), "container")
	expectAnswer(t, w.outside, net.JoinHostPort(vm4, "61200"), "container")
}

// udpEcho answers datagrams in the namespace.
func udpEcho(t *testing.T, n *testkit.Namespace, address string) {
	t.Helper()
	var conn net.PacketConn
	n.Run(func() (err error) {
		conn, err = net.ListenPacket("udp", address)
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buf[:n], from)
		}
	}()
}

func expectEcho(t *testing.T, n *testkit.Namespace, address string) {
	t.Helper()
	testkit.Eventually(t, within, func() error {
		return n.Try(func() error {
			c, err := net.Dial("udp", address)
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * time.Second))
			if _, err := c.Write([]byte("echo")); err != nil {
				return err
			}
			_, err = c.Read(make([]byte, 4))
			return err
		})
	})
}

// sharedAddress checks who answers whom on one address.
func sharedAddress(t *testing.T, w *wire, outside, vm string) {
	at := net.JoinHostPort
	reserved := strconv.Itoa(int(testReserved[0]) + 100)
	listen(t, w.outside, at(outside, "80"), "outside")
	listen(t, w.guest, at(vm, "80"), "guest")
	listen(t, w.container, at(vm, "80"), "container")
	listen(t, w.container, at(vm, reserved), "container")
	listen(t, w.guest, at(vm, "61183"), "guest") // the ports around the range
	listen(t, w.guest, at(vm, "61440"), "guest")

	expectAnswer(t, w.guest, at(outside, "80"), "outside")     // VM to outside
	expectAnswer(t, w.container, at(outside, "80"), "outside") // the container's own stack to outside
	expectAnswer(t, w.outside, at(vm, "80"), "guest")          // outside to VM
	expectAnswer(t, w.outside, at(vm, reserved), "container")
	expectAnswer(t, w.outside, at(vm, "61183"), "guest")
	expectAnswer(t, w.outside, at(vm, "61440"), "guest")

	// A closed port is refused by the guest at once: nothing swallows the reset.
	start := time.Now()
	if _, err := whoAnswers(w.outside, at(vm, "81")); err == nil || time.Since(start) > time.Second {
		t.Errorf("a closed port: got %v after %v, want a refusal at once", err, time.Since(start))
	}
	udpRefused(t, w.container, at(outside, "81"))
	udpRefused(t, w.guest, at(outside, "81"))
}

// udpRefused checks that the ICMP error about a closed port comes back to the
// stack that sent the datagram.
func udpRefused(t *testing.T, n *testkit.Namespace, address string) {
	t.Helper()
	err := n.Try(func() error {
		c, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1))
		return err
	})
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("UDP to a closed port of %s: got %v, want it refused", address, err)
	}
}

func TestBulkTransfer(t *testing.T) {
	for _, mode := range []string{plan.ModeTC, plan.ModeBridge} {
		t.Run(mode, func(t *testing.T) { bulkTransfer(t, newWire(t, wireOptions{mode: mode})) })
	}
}

func bulkTransfer(t *testing.T, w *wire) {
	const size = 64 << 20
	for _, tc := range []struct {
		name     string
		from, to *testkit.Namespace
		address  string
	}{
		{"guest to outside, IPv4", w.guest, w.outside, net.JoinHostPort(outside4, "90")},
		{"outside to guest, IPv4", w.outside, w.guest, net.JoinHostPort(vm4, "90")},
		{"guest to outside, IPv6", w.guest, w.outside, net.JoinHostPort(outside6, "90")},
		{"outside to guest, IPv6", w.outside, w.guest, net.JoinHostPort(vm6, "90")},
		{"container's stack to outside, IPv4", w.container, w.outside, net.JoinHostPort(outside4, "91")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			took := transfer(t, tc.from, tc.to, tc.address, size)
			t.Logf("%.0f MiB/s", float64(size)/(1<<20)/took.Seconds())
		})
	}
}

// transfer sends size random bytes and compares their digests at both ends.
func transfer(t *testing.T, from, to *testkit.Namespace, address string, size int64) time.Duration {
	t.Helper()
	var l net.Listener
	to.Run(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	defer l.Close()
	type result struct {
		sum string
		err error
	}
	received := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			received <- result{err: err}
			return
		}
		defer c.Close()
		h := sha256.New()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, err = io.Copy(h, c)
		received <- result{fmt.Sprintf("%x", h.Sum(nil)), err}
	}()
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	var c net.Conn
	testkit.Eventually(t, within, func() error {
		return from.Try(func() (err error) {
			c, err = net.DialTimeout("tcp", address, 2*time.Second)
			return err
		})
	})
	defer c.Close()
	start := time.Now()
	_ = c.SetDeadline(start.Add(time.Minute))
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	got := <-received
	took := time.Since(start)
	if got.err != nil {
		t.Fatal(got.err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(data)); got.sum != want {
		t.Fatalf("received bytes have the SHA-256 %s, want %s", got.sum, want)
	}
	return took
}

func TestAttachMakesASilentTap(t *testing.T) {
	w := newWire(t, wireOptions{mtu: 1400})
	w.container.Run(func() error {
		link, err := netlink.LinkByName(w.tap.Name)
		if err != nil {
			return err
		}
		addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		if len(addrs) != 0 || link.Attrs().MTU != 1400 || link.Attrs().RawFlags&0x80 == 0 {
			return fmt.Errorf("the tap has addresses %v, MTU %d, flags %#x; want none, 1400, NOARP",
				addrs, link.Attrs().MTU, link.Attrs().RawFlags)
		}
		return nil
	})
}

func TestAttachSeveralQueuesAndClose(t *testing.T) {
	testkit.Require(t, testkit.Root, testkit.NetNS, testkit.Tun, testkit.TC)
	testkit.NoLeaks(t)
	for _, mode := range []string{plan.ModeTC, plan.ModeBridge} {
		t.Run(mode, func(t *testing.T) { attachAndClose(t, mode) })
	}
}

func attachAndClose(t *testing.T, mode string) {
	join := func(index, queues int) Join {
		return Join{Index: index, Queues: queues, Mode: mode, Kept: testKept()}
	}
	n := testkit.NewNamespace(t)
	n.Run(func() error {
		var r iproute
		r.pair("eth0", "02:42:ac:12:00:05", 1400, "172.18.0.5/16")
		r.route(netlink.Route{Gw: []byte{172, 18, 0, 1}}, "eth0", "")
		if r.err != nil {
			return r.err
		}
		before, err := Read()
		if err != nil {
			return err
		}
		for range 3 { // what Close leaves lets Attach in again
			tap, err := Attach("eth0", join(3, 4))
			if err != nil {
				return err
			}
			if len(tap.Queues) != 4 || tap.Name != "runcvm3" {
				return fmt.Errorf("got %d queues of %s", len(tap.Queues), tap.Name)
			}
			if _, err := Attach("eth0", join(4, 1)); err == nil {
				return errors.New("a second tap on the same interface was not refused")
			}
			if err := tap.Close(); err != nil {
				return err
			}
			if _, err := netlink.LinkByName("runcvm3"); err == nil {
				return errors.New("the tap outlived its descriptors")
			}
			after, err := Read()
			if err != nil {
				return err
			}
			if diff := cmp.Diff(before, after); diff != "" {
				return fmt.Errorf("the interface is not what it was: %s", diff)
			}
		}
		return nil
	})
}

func TestAttachErrors(t *testing.T) {
	testkit.Require(t, testkit.Root, testkit.NetNS)
	n := testkit.NewNamespace(t)
	n.Run(func() error {
		if _, err := Attach("nosuch", Join{Queues: 1, Kept: testKept()}); err == nil {
			return errors.New("an interface that does not exist was attached")
		}
		for _, mode := range []string{plan.ModeTC, plan.ModeBridge} {
			for _, kept := range []plan.PortRange{{Protocol: plan.ProtocolTCP, First: 9, Last: 3}, {Protocol: "sctp", First: 3, Last: 9}} {
				if _, err := Attach("lo", Join{Queues: 1, Mode: mode, Kept: []plan.PortRange{kept}}); err == nil {
					return fmt.Errorf("the ports %v were taken", kept)
				}
			}
		}
		return nil
	})
}

// The guest's duplicate address detection must not find the container's stack.
func TestDuplicateAddressDetection(t *testing.T) {
	for _, options := range []wireOptions{{}, {macvlan: true}, {mode: plan.ModeBridge}, {mode: plan.ModeBridge, macvlan: true}} {
		w := newWire(t, options)
		address, err := netlink.ParseAddr(vm6 + "/64")
		if err != nil {
			t.Fatal(err)
		}
		w.guest.Run(func() error {
			link, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			if err := netlink.AddrDel(link, address); err != nil {
				return err
			}
			return netlink.AddrAdd(link, address) // without IFA_F_NODAD
		})
		testkit.Eventually(t, within, func() error {
			return w.guest.Try(func() error { return usable(address) })
		})
	}
}

// usable checks that eth0 has the address after duplicate address detection.
func usable(address *netlink.Addr) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a.IP.Equal(address.IP) && a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s is not usable: %v", address, addrs)
}
