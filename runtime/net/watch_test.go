package net

import (
	"context"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/runcvm/runcvm/internal/testkit"
)

func TestWatch(t *testing.T) {
	testkit.NoLeaks(t)
	n := testkit.NewNamespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	states, ended := make(chan State, 10), make(chan error, 1)
	var known State
	n.Run(func() (err error) { known, err = Read(); return err })
	go func() { ended <- n.Try(func() error { return Watch(ctx, known, func(s State) { states <- s }) }) }()

	next := func(what string, is func(State) bool) {
		t.Helper()
		limit := time.After(within)
		for {
			select {
			case s := <-states:
				if is(s) {
					return
				}
				t.Logf("on the way to %s: %+v", what, s)
			case <-limit:
				t.Fatalf("%s was not reported", what)
			}
		}
	}
	n.Run(func() error {
		var r iproute
		r.pair("eth1", "02:42:ac:12:00:05", 1400, "172.18.0.5/16")
		r.route(netlink.Route{Gw: []byte{172, 18, 0, 1}}, "eth1", "")
		return r.err
	})
	next("an interface with its route", func(s State) bool {
		return len(s.Interfaces) == 1 && len(s.Interfaces[0].Addresses) == 1 && len(s.Routes) == 1
	})
	n.Run(func() error {
		link, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
	next("its end", func(s State) bool { return len(s.Interfaces) == 0 && len(s.Routes) == 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
