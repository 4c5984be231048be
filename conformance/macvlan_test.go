package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// wire makes a cable of the engine's host: a network device for macvlan, and its
// other end, where a neighbour on that network has an address.
func wire(t *testing.T, e *harness.Engine, address string) (parent string) {
	t.Helper()
	n := names.Add(1)
	parent, far := fmt.Sprintf("m%da", n), fmt.Sprintf("m%db", n)
	ip := func(ctx context.Context, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(ctx, "ip", append([]string{"-n", e.NetNS}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	ip(t.Context(), "link", "add", parent, "type", "veth", "peer", "name", far)
	t.Cleanup(func() { ip(context.WithoutCancel(t.Context()), "link", "del", parent) })
	ip(t.Context(), "link", "set", parent, "up")
	ip(t.Context(), "link", "set", far, "up")
	ip(t.Context(), "address", "add", address, "dev", far)
	return parent
}

// TestMacvlan has machines and a container of runc on a network of the kind
// macvlan: they reach each other, and a neighbour on the wire, without a bridge
// or address translation in between.
func TestMacvlan(t *testing.T) {
	e := start(t)
	parent := wire(t, e, "172.30.11.1/24")
	network := newNetwork(t, "--driver", "macvlan", "--opt", "parent="+parent, "--subnet", "172.30.11.0/24", "--gateway", "172.30.11.1")
	members := map[string]*container{}
	for _, m := range []struct{ alias, runtime, address string }{
		{"one", underTest(), "172.30.11.7"}, {"two", underTest(), "172.30.11.8"}, {"three", "runc", "172.30.11.9"},
	} {
		members[m.alias] = backgroundOn(t, m.runtime, "--network", network, "--network-alias", m.alias, "--ip", m.address,
			"--dns", "127.0.0.1", probeImage, "probe", "serve", ":7")
	}
	for from, c := range members {
		equal(t, "hardware address of "+from, c.exec("cat", "/sys/class/net/eth0/address").Stdout,
			c.inspect("{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}")+"\n")
		for to := range members {
			if from == to {
				continue
			}
			want(t, c.exec("probe", "echo", to+":7", "100000"), harness.Result{Stdout: "100000 bytes echoed\n"})
			want(t, c.exec("probe", "datagram", to+":7", "1400"), harness.Result{Stdout: "1400 bytes came back\n"})
		}
	}

	// A neighbour of the machines serves, and asks.
	var listener net.Listener
	if err := e.OnHost(func() (err error) {
		listener, err = net.Listen("tcp4", "172.30.11.1:7")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	seen := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		seen <- host
		_, _ = io.Copy(conn, conn)
	}()
	want(t, members["one"].exec("probe", "echo", "172.30.11.1:7", "100000"), harness.Result{Stdout: "100000 bytes echoed\n"})
	equal(t, "who asked the neighbour", <-seen, "172.30.11.7")
	for alias, address := range map[string]string{"one": "172.30.11.7:7", "three": "172.30.11.9:7"} {
		answer := make([]byte, 5)
		if err := e.OnHost(func() error {
			conn, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err != nil {
				return err
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err = conn.Write([]byte("hello")); err == nil {
				_, err = io.ReadFull(conn, answer)
			}
			return err
		}); err != nil {
			t.Errorf("the neighbour asks %s: %v", alias, err)
		}
		equal(t, "answer of "+alias, string(answer), "hello")
	}
}
