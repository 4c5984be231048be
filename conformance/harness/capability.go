// Package harness starts what the conformance suites and the benchmark need: a
// Docker engine of their own, images, and a view of what is left behind.
package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Capability is something that a machine may lack.
type Capability string

// The capabilities that suites ask for.
const (
	Root   Capability = "root"   // effective user 0
	Docker Capability = "docker" // dockerd, containerd, docker, runc, ip, nsenter
	Runc   Capability = "runc"
	// PodmanEngine is podman with what it needs for a network.
	PodmanEngine Capability = "podman"
	QEMU         Capability = "qemu"    // a QEMU in the tool root of the installation
	Install      Capability = "install" // an installation below Prefix
	Rootfs       Capability = "rootfs"  // the tar archive of Debian's root
	Inits        Capability = "inits"   // what makes images with an init of that root
	Loop         Capability = "loop"    // block devices of files, and e2fsprogs to look into them
	// GenericKernel is the Debian package of the kernel for all machines.
	GenericKernel Capability = "generic-kernel"
)

// RequireVariable names the capabilities that must not be missing, separated
// by commas, or "all".
const RequireVariable = "RUNCVM_REQUIRE"

// Prefix is the folder of the installation under test.
func Prefix() string { return variable("RUNCVM_PREFIX", "/opt/runcvm") }

// Binary is the runcvm under test.
func Binary() string { return filepath.Join(Prefix(), "bin", "runcvm") }

// RootfsArchive is a tar archive of a minimal Debian root file system.
func RootfsArchive() string {
	return variable("RUNCVM_ROOTFS", "/var/cache/runcvm/rootfs/bookworm.tar")
}

// InitArchive is a tar archive of what Debian's packages of an init add to the
// root file system of RootfsArchive.
func InitArchive(init string) string {
	return filepath.Join(filepath.Dir(RootfsArchive()), "inits", init+".tar")
}

// GenericKernelPackage is Debian's package of its generic kernel.
func GenericKernelPackage() string {
	return variable("RUNCVM_GENERIC_KERNEL", "/var/cache/runcvm/kernels/generic.deb")
}

func variable(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// Require skips the test, with the reason, when the machine lacks one of the
// capabilities. It fails the test where RUNCVM_REQUIRE lists what is missing.
func Require(t testing.TB, capabilities ...Capability) {
	t.Helper()
	required := strings.Split(os.Getenv(RequireVariable), ",")
	for _, c := range capabilities {
		err := Has(c)
		switch {
		case err == nil:
		case slices.Contains(required, string(c)), slices.Contains(required, "all"):
			t.Fatalf("%s requires %q: %v", RequireVariable, c, err)
		default:
			t.Skipf("needs %s: %v", c, err)
		}
	}
}

// Has returns nil when the machine has the capability, else the reason.
func Has(c Capability) error {
	switch c {
	case Root:
		if os.Geteuid() != 0 {
			return errors.New("the effective user is not root")
		}
		return nil
	case Docker:
		return hasPrograms("dockerd", "containerd", "docker", "runc", "ip", "nsenter", "unshare")
	case Runc:
		return hasPrograms("runc")
	case PodmanEngine:
		if err := hasPrograms("podman", "conmon", "iptables", "nsenter"); err != nil {
			return err
		}
		return hasFile("/usr/lib/podman/netavark", "make setup")
	case QEMU:
		return hasFile(filepath.Join(Prefix(), "root/usr/bin/qemu-system-x86_64"), "make install")
	case Install:
		return hasFile(Binary(), "make install")
	case Rootfs:
		return hasFile(RootfsArchive(), "make rootfs")
	case Inits:
		return hasFile(InitArchive("mariadb"), "make inits") // the last that it makes
	case Loop:
		if err := hasPrograms("losetup", "debugfs"); err != nil {
			return err
		}
		_, err := os.Stat("/dev/loop-control")
		return err
	case GenericKernel:
		return hasFile(GenericKernelPackage(), "make generic-kernel")
	}
	return fmt.Errorf("unknown capability %q", c)
}

func hasPrograms(names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w; \"make setup\" installs it", err)
		}
	}
	return nil
}

func hasFile(path, remedy string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w; %q makes it", err, remedy)
	}
	return nil
}
