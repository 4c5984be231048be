package initd

import (
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netns"
)

// newNetwork moves the test into a network namespace of its own, for good: its
// thread ends with it.
func newNetwork(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Skipf("cannot make a network namespace: %v", err)
	}
	t.Cleanup(func() { ns.Close() })
}
