package net

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/vishvananda/netlink"
)

// settle is how long the network must be quiet before a change is reported:
// engines add an interface, its addresses and its routes one by one.
const settle = 50 * time.Millisecond

// Watch calls changed with the state each time that it differs from known, then
// from what it last reported. It reads on the calling goroutine's thread and
// returns nil when ctx is done, or an error when the kernel ends the
// notifications. A change between the Read of known and Watch is reported.
func Watch(ctx context.Context, known State, changed func(State)) error {
	done := make(chan struct{})
	defer close(done)
	failed := make(chan error, 3)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	links, addrs, routes := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)
	if err := netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{ErrorCallback: fail}); err != nil {
		return fmt.Errorf("watch the container's interfaces: %w", err)
	}
	if err := netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{ErrorCallback: fail}); err != nil {
		return fmt.Errorf("watch the container's addresses: %w", err)
	}
	if err := netlink.RouteSubscribeWithOptions(routes, done, netlink.RouteSubscribeOptions{ErrorCallback: fail}); err != nil {
		return fmt.Errorf("watch the container's routes: %w", err)
	}
	quiet := time.NewTimer(0) // the first look is at what changed before
	defer quiet.Stop()
	for {
		ended := false
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("watch the container's network: %w", err)
		case _, ok := <-links:
			ended = !ok
		case _, ok := <-addrs:
			ended = !ok
		case _, ok := <-routes:
			ended = !ok
		case <-quiet.C:
			now, err := Read()
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(known, now) {
				known = now
				changed(now)
			}
			continue
		}
		if ended {
			return fmt.Errorf("watch the container's network: the kernel's notifications ended")
		}
		quiet.Reset(settle)
	}
}
