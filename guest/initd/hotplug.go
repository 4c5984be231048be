package initd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/yamux"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/routing"
)

// serveNetwork makes a change of the network, and says how that went.
func (b *boot) serveNetwork(session *yamux.Session, stream *yamux.Stream) {
	defer stream.Close()
	var change api.NetworkChange
	if err := api.Read(stream, &change); err != nil {
		return
	}
	b.network.Lock()
	err := changeNetwork(&change)
	if err == nil && change.DNSRelay && !b.relaysDNS {
		err = startDNS(session)
		b.relaysDNS = err == nil
	}
	b.network.Unlock()
	tellOutcome(stream, err)
}

// changeNetwork makes as much of the change as it can.
func changeNetwork(c *api.NetworkChange) error {
	var errs []error
	for _, name := range c.Removed {
		if err := releaseDevice(name); err != nil {
			errs = append(errs, fmt.Errorf("remove the interface %s: %w", name, err))
		}
	}
	for _, r := range c.OldRoutes {
		if err := changeRoute(r, netlink.RouteDel); err != nil && !errors.Is(err, unix.ESRCH) && !errors.As(err, new(netlink.LinkNotFoundError)) {
			errs = append(errs, fmt.Errorf("remove the route to %q by %s: %w", r.Destination, r.Interface, err))
		}
	}
	if _, err := setUpInterfaces(c.Added); err != nil {
		errs = append(errs, err)
	}
	for _, r := range c.NewRoutes {
		if err := changeRoute(r, routing.Add); err != nil {
			errs = append(errs, fmt.Errorf("add the route to %q by %s: %w", r.Destination, r.Interface, err))
		}
	}
	return errors.Join(errs...)
}

// changeRoute hands a route to one of netlink's functions.
func changeRoute(r api.Route, change func(*netlink.Route) error) error {
	link, err := netlink.LinkByName(r.Interface)
	if err != nil {
		return err
	}
	route, err := makeRoute(r, link.Attrs().Index)
	if err != nil {
		return err
	}
	return change(route)
}

// releaseDevice takes the device of an interface from its driver, so that the
// interface is gone at once, also that of a device which cannot be unplugged.
func releaseDevice(name string) error {
	device, err := filepath.EvalSymlinks(filepath.Join("/sys/class/net", name, "device"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(device, "driver/unbind"), []byte(filepath.Base(device)), 0)
}
