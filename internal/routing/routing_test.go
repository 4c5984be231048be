package routing

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/runcvm/runcvm/internal/testkit"
)

// TestCopy has two default routes of one metric, as Podman makes for two networks.
func TestCopy(t *testing.T) {
	n := testkit.NewNamespace(t)
	n.Run(func() error {
		first, err := device("first", "192.0.2.2/24")
		if err != nil {
			return err
		}
		second, err := device("second", "198.51.100.2/24")
		if err != nil {
			return err
		}
		route := func(link int, gateway string) *netlink.Route {
			return &netlink.Route{LinkIndex: link, Gw: net.ParseIP(gateway), Family: netlink.FAMILY_V4, Priority: 100}
		}
		_, connected, _ := net.ParseCIDR("192.0.2.0/24")
		var c Copy
		for _, r := range []*netlink.Route{
			{LinkIndex: first, Dst: connected, Src: net.ParseIP("192.0.2.2"), Scope: netlink.SCOPE_LINK, Family: netlink.FAMILY_V4, MTU: 1300},
			route(second, "198.51.100.1"), route(first, "192.0.2.1"), route(first, "192.0.2.1"),
		} {
			if err := c.Add(r); err != nil {
				return err
			}
		}
		check(t, "192.0.2.0/24", "198.51.100.0/24", "by 198.51.100.1", "by 192.0.2.1")
		for range 2 {
			if err := Add(route(first, "192.0.2.9")); err != nil {
				return err
			}
		}
		check(t, "192.0.2.0/24", "198.51.100.0/24", "by 192.0.2.9", "by 198.51.100.1", "by 192.0.2.1")
		used, err := netlink.RouteGet(net.ParseIP("203.0.113.1"))
		if err == nil && used[0].Gw.String() != "192.0.2.9" {
			t.Errorf("packets go by %s", used[0].Gw)
		}
		return err
	})
}

// device makes an interface and returns its index.
func device(name, address string) (int, error) {
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "far-" + name}
	a, err := netlink.ParseAddr(address)
	for _, step := range []func() error{
		func() error { return netlink.LinkAdd(link) },
		func() error { return netlink.LinkSetUp(link) },
		func() error { return netlink.AddrAdd(link, a) },
	} {
		if err == nil {
			err = step()
		}
	}
	return link.Index, err
}

// check compares the routes of the main table: the connected ones, then the default
// ones, each in their order.
func check(t *testing.T, want ...string) {
	t.Helper()
	all, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Error(err)
	}
	var connected, defaults []string
	for _, r := range all {
		if r.Gw == nil {
			connected = append(connected, r.Dst.String())
		} else {
			defaults = append(defaults, "by "+r.Gw.String())
		}
	}
	if diff := cmp.Diff(strings.Join(want, ", "), strings.Join(append(connected, defaults...), ", ")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
