// Package routing makes routes again that another network namespace has.
package routing

import (
	"errors"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Copy adds routes in the order in which they were listed. It is for those of one
// network namespace.
type Copy struct{ seen map[key]bool }

// key is what the kernel tells routes of a table apart by. Several may have the
// same; the first that is listed is the one in use.
type key struct {
	family, metric int
	destination    string
}

// Add adds a route. It takes the place of one that the kernel made for an address,
// and comes behind those that were added here.
func (c *Copy) Add(r *netlink.Route) error {
	k := key{family: r.Family, metric: r.Priority}
	if r.Dst != nil {
		k.destination = r.Dst.String()
	}
	if c.seen[k] {
		return unlessThere(netlink.RouteAppend(r))
	}
	if c.seen == nil {
		c.seen = map[key]bool{}
	}
	c.seen[k] = true
	return netlink.RouteReplace(r)
}

// Add adds a route that has been made later than those that are there: it comes
// before those of the same destination and metric, as is usual.
func Add(r *netlink.Route) error { return unlessThere(netlink.RouteAddEcmp(r)) }

func unlessThere(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}
