// Package testkit is what tests of several packages share: capabilities of the
// machine, polling, network namespaces and checks for leaks.
package testkit

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/runtime/facts"
)

// RequireVariable is the environment variable that lists, separated by commas,
// the capabilities that this machine must have: a test that misses one of them
// fails instead of being skipped. "all" lists every one.
const RequireVariable = "RUNCVM_REQUIRE"

// Prefix is where the installed product is looked for. The variable
// RUNCVM_PREFIX changes it.
const Prefix = "/opt/runcvm"

// Capability is something that a test needs of the machine.
type Capability struct {
	Name    string        // as in RequireVariable
	missing func() string // why the machine lacks it; empty when it has it
}

// The capabilities.
var (
	Root    = Capability{"root", missingRoot}
	NetNS   = Capability{"netns", missingNetNS}
	Tun     = Capability{"tun", missingTun}
	TC      = Capability{"tc", missingTC}
	Runc    = Capability{"runc", program("runc")}
	Docker  = Capability{"docker", program("dockerd", "docker", "containerd", "runc")}
	QEMU    = Capability{"qemu", program("qemu-system-x86_64")}
	KVM     = Capability{"kvm", missingKVM}
	Install = Capability{"install", missingInstall}
)

// Program is the capability of having a program in $PATH.
func Program(name string) Capability { return Capability{name, program(name)} }

// Require skips the test, saying why, when the machine lacks one of the
// capabilities; where RequireVariable lists that one, the test fails.
func Require(t testing.TB, capabilities ...Capability) {
	t.Helper()
	for _, c := range capabilities {
		why := c.missing()
		if why == "" {
			continue
		}
		if required(c.Name, os.Getenv(RequireVariable)) {
			t.Fatalf("%s lists %q, but %s", RequireVariable, c.Name, why)
		}
		t.Skipf("needs %q: %s", c.Name, why)
	}
}

func required(name, list string) bool {
	for _, item := range strings.Split(list, ",") {
		if item = strings.TrimSpace(item); item == "all" || item == name {
			return true
		}
	}
	return false
}

func missingRoot() string {
	if os.Geteuid() != 0 {
		return "the test does not run as root"
	}
	return ""
}

func program(names ...string) func() string {
	return func() string {
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				return err.Error()
			}
		}
		return ""
	}
}

func missingTun() string {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "/dev/net/tun does not open: " + err.Error()
	}
	_ = unix.Close(fd)
	return ""
}

// missingKVM measures, as the product does: a /dev/kvm that opens may still be
// of no use.
func missingKVM() string {
	if kvm := facts.Probe("").KVM; !kvm.Usable {
		return kvm.Reason
	}
	return ""
}

func missingInstall() string {
	if _, err := os.Stat(InstalledPrefix() + "/bin/runcvm"); err != nil {
		return "the product is not installed (make install): " + err.Error()
	}
	return ""
}

// InstalledPrefix is the folder of the installed product.
func InstalledPrefix() string {
	if p := os.Getenv("RUNCVM_PREFIX"); p != "" {
		return p
	}
	return Prefix
}
