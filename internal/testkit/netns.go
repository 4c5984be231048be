package testkit

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network namespace of a test. It has no name and goes when the
// test ends and nothing in it is open.
type Namespace struct {
	t  testing.TB
	ns netns.NsHandle
}

// NewNamespace makes a network namespace in which only loopback is up.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	Require(t, Root, NetNS)
	n := &Namespace{t: t, ns: netns.None()}
	err := onOwnThread(func() error {
		ns, err := netns.New()
		if err != nil {
			return err
		}
		n.ns = ns
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { _ = n.ns.Close() })
	return n
}

// Handle is the namespace's descriptor, valid until the test ends.
func (n *Namespace) Handle() netns.NsHandle { return n.ns }

// Run calls f on a thread in the namespace and fails the test when f fails.
// Sockets that f opens stay in the namespace. f must not end the test.
func (n *Namespace) Run(f func() error) {
	n.t.Helper()
	if err := n.Try(f); err != nil {
		n.t.Fatal(err)
	}
}

// Try is Run with f's error handed back.
func (n *Namespace) Try(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return f()
	})
}

// onOwnThread runs f on a thread that ends with it: nobody else ever sees the
// namespaces that f switches to.
func onOwnThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with the goroutine
		result <- f()
	}()
	return <-result
}

var missingNetNS = sync.OnceValue(func() string {
	err := onOwnThread(func() error {
		ns, err := netns.New()
		if err != nil {
			return err
		}
		return ns.Close()
	})
	if err != nil {
		return "no network namespace can be made: " + err.Error()
	}
	return ""
})

// missingTC tries the pieces that the product's network needs: the ingress
// hook, u32 and mirred.
var missingTC = sync.OnceValue(func() string {
	if why := missingNetNS(); why != "" {
		return why
	}
	err := onOwnThread(func() error {
		ns, err := netns.New()
		if err != nil {
			return err
		}
		defer ns.Close()
		return tryMirred()
	})
	if err != nil {
		return "tc lacks the ingress hook, u32 or mirred: " + err.Error()
	}
	return ""
})

func tryMirred() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	index := lo.Attrs().Index
	if err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS,
	}}); err != nil {
		return err
	}
	return netlink.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: netlink.MakeHandle(0xffff, 0), Priority: 1, Protocol: 3, // ETH_P_ALL
		},
		Actions: []netlink.Action{netlink.NewMirredAction(index)},
	})
}
