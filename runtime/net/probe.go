package net

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// Probe tries in a network namespace of its own, which it leaves nothing of,
// what the modes "tc" and "bridge" need. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN;
// without them nothing is found out, and a mode passes for usable. On a busy host
// it takes a tenth of a second.
func Probe() (tc, bridge plan.Usable) {
	verdicts := make(chan [2]plan.Usable)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and its namespace
		// with the thread.
		runtime.LockOSThread()
		verdicts <- probeHere()
	}()
	v := <-verdicts
	return v[0], v[1]
}

func probeHere() [2]plan.Usable {
	switch err := unix.Unshare(unix.CLONE_NEWNET); {
	case errors.Is(err, unix.EPERM):
		untried := plan.Usable{Usable: true, Reason: "Nothing is known against it: only root can try it."}
		return [2]plan.Usable{untried, untried}
	case err != nil:
		failed := plan.Usable{Reason: "No network namespace can be made to try it in: " + err.Error() + "."}
		return [2]plan.Usable{failed, failed}
	}
	return [2]plan.Usable{
		judged(tryTC(), "Ingress hook, u32 and mirred work."),
		judged(tryBridge(), "Bridges and packet sockets work."),
	}
}

func judged(err error, works string) plan.Usable {
	if err != nil {
		return plan.Usable{Reason: "The host's kernel cannot " + err.Error() + "."}
	}
	return plan.Usable{Usable: true, Reason: works}
}

// tryTC redirects what comes in on the loopback to itself.
func tryTC() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("show its loopback: %w", err)
	}
	if err := addIngress(lo); err != nil {
		return err
	}
	return filter{prio: prioRest, protocol: unix.ETH_P_ALL, keys: everything(), verdict: redirect}.add(lo, lo)
}

// tryBridge makes an empty bridge, and a packet socket as openWire does.
func tryBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgePrefix
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("make a bridge (modprobe bridge): %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("show its loopback: %w", err)
	}
	var b bridged
	if err := b.openWire(lo, nil); err != nil {
		return err
	}
	return b.wire.Close()
}
