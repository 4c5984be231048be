package initd

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// addPair adds a pair of interfaces and gives the first a hardware address.
func addPair(t *testing.T, name, peer, mac string) netlink.Link {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, hw
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer}); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{peer, name} {
		l, err := netlink.LinkByName(end)
		if err != nil {
			t.Fatal(err)
		}
		if end == name {
			return l
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}

// parameter reads a kernel parameter of the thread's own network namespace.
func parameter(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile("/proc/sys/net/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

// addresses lists a link's addresses but the link-local ones, which the kernel
// makes in the background.
func addresses(t *testing.T, l netlink.Link) []string {
	t.Helper()
	list, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		if a.IP.IsLinkLocalUnicast() {
			continue
		}
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
			t.Errorf("%s is tentative", a.IPNet)
		}
		out = append(out, a.IPNet.String())
	}
	return out
}

func TestSetUpNetwork(t *testing.T) {
	newNetwork(t)
	// The names are exchanged, and a third interface has one that is wanted.
	first := addPair(t, "eth1", "p0", "02:42:ac:11:00:02")
	second := addPair(t, "eth0", "p1", "02:42:ac:11:00:03")
	addPair(t, "lan", "p2", "02:42:ac:11:00:04")
	third := addPair(t, "odd", "p3", "02:42:ac:11:00:05")
	err := setUpNetwork(&api.Boot{
		NoIPv6: true, // but for eth0
		Interfaces: []api.Interface{
			{Name: "eth0", MAC: "02:42:AC:11:00:02", MTU: 1400, Addresses: []string{"172.17.0.2/16", "fd00:17::2/64"}},
			{Name: "eth1", MAC: "02:42:ac:11:00:03", MTU: 1500, Addresses: []string{"10.9.0.2/24"}},
			{Name: "lan", MAC: "02:42:ac:11:00:05"},
		},
		Routes: []api.Route{
			{Interface: "eth0", Gateway: "172.17.0.1"},
			{Interface: "eth0", Destination: "172.17.0.0/16", Source: "172.17.0.2", Scope: unix.RT_SCOPE_LINK},
			{Interface: "eth0", Gateway: "fd00:17::1", IPv6: true},
			{Interface: "eth1", Destination: "10.77.0.0/16", Gateway: "10.9.0.9", Metric: 7},
			{Interface: "lan", Destination: "10.88.0.0/24", Gateway: "10.88.1.1", OnLink: true},
		},
		Sysctl: map[string]string{
			"net.ipv4.ip_unprivileged_port_start": "0",
			"net.ipv4.conf.eth1.forwarding":       "1",
			"net.ipv4.ip_local_reserved_ports":    "8080",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		index     int
		name      string
		mtu       int
		addresses []string
	}{
		{first.Attrs().Index, "eth0", 1400, []string{"172.17.0.2/16", "fd00:17::2/64"}},
		{second.Attrs().Index, "eth1", 1500, []string{"10.9.0.2/24"}},
		{third.Attrs().Index, "lan", 1500, nil},
	} {
		l, err := netlink.LinkByIndex(want.index)
		if err != nil {
			t.Fatal(err)
		}
		if a := l.Attrs(); a.Name != want.name || a.MTU != want.mtu || a.Flags&net.FlagUp == 0 {
			t.Errorf("%s: name %s, MTU %d, flags %v", want.name, a.Name, a.MTU, a.Flags)
		}
		if diff := cmp.Diff(want.addresses, addresses(t, l)); diff != "" {
			t.Errorf("addresses of %s: %s", want.name, diff)
		}
	}
	for path, want := range map[string]string{
		"ipv4/ip_local_reserved_ports":    "8080",
		"ipv4/ip_unprivileged_port_start": "0",
		"ipv4/conf/eth1/forwarding":       "1",
		"ipv6/conf/eth0/accept_ra":        "0",
		"ipv6/conf/eth0/autoconf":         "0",
		"ipv6/conf/eth0/disable_ipv6":     "0",
		"ipv6/conf/eth1/disable_ipv6":     "1",
		"ipv6/conf/lo/disable_ipv6":       "0",
		"ipv6/conf/all/disable_ipv6":      "1",
	} {
		if got := parameter(t, path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	checkRoute(t, "192.0.2.1", "172.17.0.1", "172.17.0.2")
	checkRoute(t, "10.77.1.1", "10.9.0.9", "10.9.0.2")
	checkRoute(t, "2001:db8::1", "fd00:17::1", "fd00:17::2")
	if _, err := netlink.RouteGet(net.IPv4(127, 0, 0, 11)); err != nil {
		t.Errorf("no route to the loopback interface: %v", err)
	}
}

func checkRoute(t *testing.T, to, gateway, source string) {
	t.Helper()
	routes, err := netlink.RouteGet(net.ParseIP(to))
	if err != nil || len(routes) != 1 {
		t.Errorf("route to %s: %v, %v", to, routes, err)
		return
	}
	if r := routes[0]; r.Gw.String() != gateway || r.Src.String() != source {
		t.Errorf("route to %s: by %s from %s, want by %s from %s", to, r.Gw, r.Src, gateway, source)
	}
}

func TestSetUpNetworkErrors(t *testing.T) {
	newNetwork(t)
	addPair(t, "eth0", "p0", "02:42:ac:11:00:02")
	good := api.Interface{Name: "eth0", MAC: "02:42:ac:11:00:02"}
	for _, test := range []struct {
		boot api.Boot
		want string
	}{
		{api.Boot{Interfaces: []api.Interface{{Name: "eth0", MAC: "x"}}}, "interface eth0: address x: invalid MAC address"},
		{api.Boot{Interfaces: []api.Interface{{Name: "eth0", MAC: good.MAC, Addresses: []string{"1.2.3"}}}}, `set up the interface eth0: address "1.2.3"`},
		{api.Boot{Interfaces: []api.Interface{good}, Routes: []api.Route{{Interface: "eth7"}}}, `the unknown interface "eth7"`},
		{api.Boot{Interfaces: []api.Interface{good}, Routes: []api.Route{{Interface: "eth0", Gateway: "192.0.2.1"}}}, `add the route to "default" by eth0: `},
		{api.Boot{Sysctl: map[string]string{"net.no.such": "1"}}, `set the kernel parameter net.no.such to "1"`},
		{api.Boot{Sysctl: map[string]string{"../../etc/x": "1"}}, "not the name of a kernel parameter"},
	} {
		if err := setUpNetwork(&test.boot); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"kernel.msgmax":               "/proc/sys/kernel/msgmax",
		"net/ipv4/ip_forward":         "/proc/sys/net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/7.mtu":    "/proc/sys/net/ipv4/conf/eth0.7/mtu",
		"net/ipv4/conf/eth0.7/mtu":    "/proc/sys/net/ipv4/conf/eth0.7/mtu",
		"net.ipv4.ping_group_range":   "/proc/sys/net/ipv4/ping_group_range",
		"fs.mqueue.msg_max":           "/proc/sys/fs/mqueue/msg_max",
		"":                            "",
		"../x":                        "",
		"/etc/passwd":                 "",
		"net/../../../etc/passwd/../": "",
	} {
		if got, err := sysctlPath(name); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
}
