package initd

import (
	"runtime"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/runcvm/runcvm/internal/testkit"
)

// newNetwork moves the test into a network namespace of its own, for good: its
// thread ends with it.
func newNetwork(t *testing.T) {
	t.Helper()
	testkit.Require(t, testkit.Root, testkit.NetNS)
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { ns.Close() })
}
