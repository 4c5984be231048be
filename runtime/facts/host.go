// Package facts gathers what the engine needs to know of the host: values, so
// that the engine itself looks at nothing.
package facts

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/vsock"
)

// Options says where facts come from and brings those that other packages know.
type Options struct {
	// CacheDir keeps the KVM verdict until the host reboots; empty keeps
	// nothing.
	CacheDir string
	Tools    plan.Tools
	Image    plan.Image
	Bundle   plan.Bundle
	Kernels  []plan.InstalledKernel
	// ProbeNetwork finds out which network modes work, for facts that a plan is made
	// with.
	ProbeNetwork func() (tc, bridge plan.Usable)
	// KernelsDir is where Kernels are.
	KernelsDir string
}

// Gather looks at the host and merges what the options bring. With a kept KVM
// verdict it takes well below a millisecond, without one up to a second.
func Gather(o Options) (plan.Facts, error) {
	host, err := readHost()
	if err != nil {
		return plan.Facts{}, err
	}
	v := Probe(o.CacheDir)
	host.TSCKHz = v.TSCKHz
	var tc, bridge plan.Usable
	if o.ProbeNetwork != nil {
		tc, bridge = probeNetwork(o.CacheDir, o.ProbeNetwork)
	}
	return plan.Facts{
		Host:     host,
		KVM:      v.KVM,
		VHostNet: probeVHostNet(vhostNetDevice),
		TC:       tc,
		Bridge:   bridge,
		Vsock:    vsock.Probe(),
		Tools:    o.Tools,
		Image:    o.Image,
		Bundle:   o.Bundle,
		Kernels:  o.Kernels,

		KernelsDir: o.KernelsDir,
	}, nil
}

func readHost() (plan.Host, error) {
	release, err := kernelRelease()
	if err != nil {
		return plan.Host{}, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return plan.Host{}, fmt.Errorf("read the host's memory size (sysinfo): %w", err)
	}
	cpus, err := usableCPUs()
	if err != nil {
		return plan.Host{}, err
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return plan.Host{}, fmt.Errorf("read the limit of open files (getrlimit): %w", err)
	}
	hugePages, err := readHugePages(hugePagesDir)
	if err != nil {
		return plan.Host{}, err
	}
	vfio, err := readVFIO(pciDriversDir, plan.VFIODir)
	if err != nil {
		return plan.Host{}, fmt.Errorf("read the host's devices of %s: %w", plan.VFIODriver, err)
	}
	return plan.Host{
		HugePages:    hugePages,
		VFIO:         vfio,
		Architecture: runtime.GOARCH,
		Kernel:       release,
		CPUs:         cpus,
		MemoryMiB:    int(uint64(info.Totalram) * uint64(info.Unit) >> 20),
		HasTun:       isCharDevice("/dev/net/tun"),
		IPv6:         hasIPv6(),
		MaxOpenFiles: files.Max,
	}, nil
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("read the host's kernel release (uname): %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// usableCPUs is the number of CPUs in this process's affinity mask.
func usableCPUs() (int, error) {
	// The kernel wants room for every CPU that it could have.
	for n := 1024; n <= 1<<16; n *= 2 {
		set := unix.NewCPUSet(n)
		err := unix.SchedGetaffinityDynamic(0, set)
		if errors.Is(err, unix.EINVAL) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read the CPU affinity (sched_getaffinity): %w", err)
		}
		return set.Count(), nil
	}
	return 0, errors.New("read the CPU affinity (sched_getaffinity): the kernel has more than 65536 CPUs")
}

func hasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

func isCharDevice(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR
}
