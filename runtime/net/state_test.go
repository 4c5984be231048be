package net

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/testkit"
)

func TestReadLoopbackOnly(t *testing.T) {
	n := testkit.NewNamespace(t)
	n.Run(func() error {
		st, err := Read()
		if d := cmp.Diff(State{}, st); err == nil && d != "" {
			t.Error("--network none: " + d)
		}
		return err
	})
}

// iproute runs ip(8)-like steps in the calling namespace.
type iproute struct{ err error }

func (r *iproute) do(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *iproute) pair(name, mac string, mtu int, addresses ...string) {
	hw, err := net.ParseMAC(mac)
	r.do(err)
	r.do(netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: hw}, PeerName: "far-" + name,
	}))
	r.do(setUp(name, mtu, addresses...))
	// The far end only gives the carrier; it must not show up as an interface.
	far, err := netlink.LinkByName("far-" + name)
	r.do(err)
	if err == nil {
		r.do(netlink.LinkSetNoMaster(far))
	}
}

func (r *iproute) route(route netlink.Route, device, destination string) {
	link, err := netlink.LinkByName(device)
	r.do(err)
	if err != nil {
		return
	}
	if destination != "" {
		_, route.Dst, err = net.ParseCIDR(destination)
		r.do(err)
	}
	route.LinkIndex = link.Attrs().Index
	r.do(netlink.RouteAdd(&route))
}

func TestReadInterfacesAndRoutes(t *testing.T) {
	n := testkit.NewNamespace(t)
	var got State
	n.Run(func() error {
		var r iproute
		r.pair("eth0", "02:42:0a:09:00:02", 1500, "10.9.0.2/24", "10.9.0.3/24", "fd09::2/64")
		r.pair("eth1", "02:42:ac:12:00:05", 1400, "172.18.0.5/16", "169.254.7.7/16", "fe80::1234/64")
		r.route(netlink.Route{Gw: net.ParseIP("10.9.0.1")}, "eth0", "")
		r.route(netlink.Route{Gw: net.ParseIP("fd09::1")}, "eth0", "")
		r.route(netlink.Route{Gw: net.ParseIP("192.0.2.1"), Flags: int(netlink.FLAG_ONLINK), Priority: 50}, "eth1", "198.51.100.0/24")
		r.route(netlink.Route{Scope: netlink.SCOPE_LINK, Src: net.ParseIP("172.18.0.5")}, "eth1", "203.0.113.0/24")
		r.do(netlink.RouteAdd(&netlink.Route{Dst: mustCIDR(t, "100.64.0.0/10"), Type: 6})) // blackhole
		if r.err != nil {
			return r.err
		}
		var err error
		got, err = Read()
		return err
	})
	want := State{
		Interfaces: []api.Interface{
			{Name: "eth0", MAC: "02:42:0a:09:00:02", MTU: 1500, Addresses: []string{"10.9.0.2/24", "10.9.0.3/24", "fd09::2/64"}},
			{Name: "eth1", MAC: "02:42:ac:12:00:05", MTU: 1400, Addresses: []string{"172.18.0.5/16", "169.254.7.7/16", "fe80::1234/64"}},
		},
		Routes: []api.Route{
			{Interface: "eth1", Destination: "203.0.113.0/24", Source: "172.18.0.5", Scope: 253},
			{Interface: "eth0", Gateway: "10.9.0.1"},
			{Interface: "eth1", Destination: "198.51.100.0/24", Gateway: "192.0.2.1", Metric: 50, OnLink: true},
			{Interface: "eth0", Gateway: "fd09::1", Metric: 1024, IPv6: true},
		},
		Unsupported: []string{"The route to 100.64.0.0/10 has the type 6; only unicast routes reach the VM."},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func mustCIDR(t *testing.T, s string) *net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What Read says, set up in an empty namespace, is read again as the same:
// nothing that the guest needs is lost, and nothing comes twice.
func TestReadTwiceIsTheSame(t *testing.T) {
	w := newWire(t, wireOptions{})
	var before, after State
	read := func(n *testkit.Namespace, into *State) {
		n.Run(func() (err error) { *into, err = Read(); return err })
	}
	read(w.container, &before)
	if len(before.Interfaces) != 1 || before.Interfaces[0].Name != "eth0" {
		t.Fatalf("with our tap in place: %+v", before)
	}
	if strings.Join(before.Unsupported, "") != "" {
		t.Errorf("unsupported: %v", before.Unsupported)
	}
	read(w.container, &after)
	if d := cmp.Diff(before, after); d != "" {
		t.Error(d)
	}
}

func TestUsesDockerResolver(t *testing.T) {
	for _, tc := range []struct {
		conf string
		want bool
	}{
		{"nameserver 127.0.0.11\noptions ndots:0\n", true},
		{"search a b\n\tnameserver\t127.0.0.11", true},
		{"# nameserver 127.0.0.11\nnameserver 8.8.8.8\n", false},
		{"nameserver 127.0.0.110\n", false},
		{"nameserver ::1\nnameserver 127.0.0.11 trailing\n", true},
		{"nameserver\n", false},
		{"", false},
	} {
		if got := UsesDockerResolver([]byte(tc.conf)); got != tc.want {
			t.Errorf("%q: got %v", tc.conf, got)
		}
	}
}
