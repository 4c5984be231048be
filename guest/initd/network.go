package initd

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/routing"
)

const (
	// linkWait is how long an interface may take to appear.
	linkWait = 10 * time.Second
	linkPoll = 2 * time.Millisecond
)

// setUpNetwork makes the interfaces, the routes and the kernel parameters.
func setUpNetwork(request *api.Boot) error {
	if request.NoIPv6 {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("turn IPv6 off: %w", err)
		}
	}
	if err := setUpLoopback(); err != nil {
		return fmt.Errorf("set up the loopback interface: %w", err)
	}
	links, err := setUpInterfaces(request.Interfaces)
	if err != nil {
		return err
	}
	if err := addRoutes(request.Routes, request.Interfaces, links); err != nil {
		return err
	}
	// Last, since a parameter may be an interface's.
	return setParameters(request.Sysctl)
}

// setUpInterfaces names and starts the interfaces, in the order given.
func setUpInterfaces(interfaces []api.Interface) ([]netlink.Link, error) {
	if len(interfaces) == 0 {
		return nil, nil
	}
	if err := loadDrivers(modulesDir, interfaces); err != nil {
		return nil, err
	}
	links, err := waitForLinks(interfaces)
	if err != nil {
		return nil, err
	}
	if err := renameLinks(interfaces, links); err != nil {
		return nil, err
	}
	for i, want := range interfaces {
		if err := setUpInterface(want, links[i]); err != nil {
			return nil, fmt.Errorf("set up the interface %s: %w", want.Name, err)
		}
	}
	return links, nil
}

// loadDrivers loads the drivers of network devices that few VMs have.
func loadDrivers(dir string, interfaces []api.Interface) error {
	for _, i := range interfaces {
		if i.Driver == "" {
			continue
		}
		if err := loadModules(dir, "load."+filepath.Base(i.Driver)); err != nil {
			return err
		}
	}
	return nil
}

func setUpLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// waitForLinks finds the interfaces by their hardware addresses, in the order
// given.
func waitForLinks(want []api.Interface) ([]netlink.Link, error) {
	deadline := time.Now().Add(linkWait)
	for {
		all, err := netlink.LinkList()
		if err != nil {
			return nil, fmt.Errorf("list the interfaces: %w", err)
		}
		links, missing, err := matchLinks(want, all)
		if err != nil || missing == "" {
			return links, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the VM has no network device with the address %s after %v", missing, linkWait)
		}
		time.Sleep(linkPoll)
	}
}

// matchLinks returns the links by hardware address, or the first address that
// is missing.
func matchLinks(want []api.Interface, all []netlink.Link) (links []netlink.Link, missing string, err error) {
	for _, w := range want {
		mac, err := net.ParseMAC(w.MAC)
		if err != nil {
			return nil, "", fmt.Errorf("interface %s: %w", w.Name, err)
		}
		i := slices.IndexFunc(all, func(l netlink.Link) bool {
			return bytes.Equal(l.Attrs().HardwareAddr, mac)
		})
		if i < 0 {
			return nil, w.MAC, nil
		}
		links = append(links, all[i])
	}
	return links, "", nil
}

// renameLinks gives the links their names. Names may be exchanged among them,
// or be those of others: whoever has a name that is wanted first gets a name
// that nobody wants.
func renameLinks(want []api.Interface, links []netlink.Link) error {
	all, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range all {
		name, index := l.Attrs().Name, l.Attrs().Index
		wanted := slices.IndexFunc(want, func(w api.Interface) bool { return w.Name == name })
		if wanted < 0 || links[wanted].Attrs().Index == index {
			continue
		}
		if err := rename(l, "runcvm"+strconv.Itoa(index)); err != nil {
			return err
		}
	}
	for i, w := range want {
		if links[i].Attrs().Name == w.Name {
			continue
		}
		if err := rename(links[i], w.Name); err != nil {
			return err
		}
	}
	return nil
}

func rename(l netlink.Link, name string) error {
	if l.Attrs().Flags&net.FlagUp != 0 {
		if err := netlink.LinkSetDown(l); err != nil {
			return fmt.Errorf("rename the interface %s: %w", l.Attrs().Name, err)
		}
	}
	if err := netlink.LinkSetName(l, name); err != nil {
		return fmt.Errorf("rename the interface %s to %s: %w", l.Attrs().Name, name, err)
	}
	return nil
}

// setUpInterface gives an interface its size and addresses and starts it.
func setUpInterface(want api.Interface, l netlink.Link) error {
	if want.MTU > 0 && want.MTU != l.Attrs().MTU {
		if err := netlink.LinkSetMTU(l, want.MTU); err != nil {
			return fmt.Errorf("set the MTU to %d: %w", want.MTU, err)
		}
	}
	var addresses []*netlink.Addr
	has6 := false
	for _, text := range want.Addresses {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("address %q: %w", text, err)
		}
		if a.IP.To4() == nil {
			has6 = true
			// The container's own stack has the same address: detection of
			// duplicates would find one.
			a.Flags |= unix.IFA_F_NODAD
		}
		addresses = append(addresses, a)
	}
	if err := tameIPv6(want.Name, has6); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	for _, a := range addresses {
		// The link-local one may be there: the kernel derives it from the MAC.
		if err := netlink.AddrReplace(l, a); err != nil {
			return fmt.Errorf("add the address %s: %w", a, err)
		}
	}
	return nil
}

// tameIPv6 keeps the kernel from giving the interface addresses and routes that
// the container does not have.
func tameIPv6(name string, has6 bool) error {
	dir := filepath.Join("/proc/sys/net/ipv6/conf", name)
	if _, err := os.Stat(dir); os.IsNotExist(err) && !has6 {
		return nil // a kernel without IPv6
	}
	parameters := [][2]string{{"disable_ipv6", "0"}, {"accept_ra", "0"}, {"autoconf", "0"}, {"accept_dad", "0"}, {"dad_transmits", "0"}}
	if !has6 {
		parameters = [][2]string{{"disable_ipv6", "1"}}
	} else if err := os.WriteFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6", []byte("0"), 0); err != nil {
		return err // as Docker does, the loopback follows
	}
	for _, p := range parameters {
		if err := os.WriteFile(filepath.Join(dir, p[0]), []byte(p[1]), 0); err != nil {
			return err
		}
	}
	return nil
}

// addRoutes adds the routes: those without a gateway first, since the others
// need them to reach theirs.
func addRoutes(routes []api.Route, interfaces []api.Interface, links []netlink.Link) error {
	routes = slices.Clone(routes)
	slices.SortStableFunc(routes, func(a, b api.Route) int {
		return cmp.Compare(min(len(a.Gateway), 1), min(len(b.Gateway), 1))
	})
	var table routing.Copy
	for _, r := range routes {
		i := slices.IndexFunc(interfaces, func(n api.Interface) bool { return n.Name == r.Interface })
		if i < 0 {
			return fmt.Errorf("a route to %q uses the unknown interface %q", r.Destination, r.Interface)
		}
		route, err := makeRoute(r, links[i].Attrs().Index)
		if err == nil {
			err = table.Add(route)
		}
		if err != nil {
			return fmt.Errorf("add the route to %q by %s: %w", cmp.Or(r.Destination, "default"), r.Interface, err)
		}
	}
	return nil
}

func makeRoute(r api.Route, index int) (*netlink.Route, error) {
	route := &netlink.Route{
		LinkIndex: index, Scope: netlink.Scope(r.Scope), Priority: r.Metric, Family: netlink.FAMILY_V4,
	}
	if r.IPv6 {
		route.Family = netlink.FAMILY_V6
	}
	if r.Gateway != "" {
		if route.Gw = net.ParseIP(r.Gateway); route.Gw == nil {
			return nil, fmt.Errorf("%q is not an address", r.Gateway)
		}
		route.Family = family(route.Gw)
	}
	if r.Source != "" {
		if route.Src = net.ParseIP(r.Source); route.Src == nil {
			return nil, fmt.Errorf("%q is not an address", r.Source)
		}
	}
	if r.OnLink {
		route.Flags |= int(netlink.FLAG_ONLINK)
	}
	var err error
	if r.Destination != "" {
		_, route.Dst, err = net.ParseCIDR(r.Destination)
		if err == nil {
			route.Family = family(route.Dst.IP)
		}
		return route, err
	}
	// The library wants a default route spelled out.
	route.Dst = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if route.Family == netlink.FAMILY_V6 {
		route.Dst = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	return route, nil
}

func family(ip net.IP) int {
	if ip.To4() != nil {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// setParameters sets kernel parameters by their sysctl(8) names, in order of
// the names.
func setParameters(parameters map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		path, err := sysctlPath(name)
		if err == nil {
			err = os.WriteFile(path, []byte(parameters[name]), 0)
		}
		if err != nil {
			return fmt.Errorf("set the kernel parameter %s to %q: %w", name, parameters[name], err)
		}
	}
	return nil
}
