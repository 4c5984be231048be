package ocispec

import (
	"math"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

// path is where the supervisor finds programs in the tool root.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Apply makes the container that d describes the one that holds the virtual
// machine. Namespaces, hooks, cgroup, labels, annotations and the terminal stay
// as they are.
func Apply(d *Document, o *plan.OCI) {
	s := &d.Spec
	s.Root = &specs.Root{Path: o.RootPath, Readonly: true}
	s.Mounts = slices.Clone(o.Mounts)
	applyProcess(s, o)
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	s.Linux.Devices = slices.Clone(o.Devices)
	s.Linux.Sysctl = o.Sysctl
	// The filter is made for the application, whose system calls the guest's
	// kernel serves. It would keep QEMU and virtiofsd from starting.
	s.Linux.Seccomp = nil
	applyResources(s.Linux, o)
}

func applyProcess(s *specs.Spec, o *plan.OCI) {
	if s.Process == nil {
		s.Process = &specs.Process{}
	}
	p := s.Process
	p.Args = slices.Clone(o.Args)
	p.Env = []string{path}
	p.Cwd = "/"
	p.User = specs.User{}
	p.Capabilities = &specs.LinuxCapabilities{
		Bounding:  slices.Clone(o.Capabilities),
		Effective: slices.Clone(o.Capabilities),
		Permitted: slices.Clone(o.Capabilities),
	}
	p.Rlimits = nil // the application's
	if o.NoFile > 0 {
		p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: o.NoFile, Soft: o.NoFile}}
	}
	if o.LockMemory {
		p.Rlimits = append(p.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_MEMLOCK", Hard: unlimited, Soft: unlimited})
	}
	p.NoNewPrivileges = true
}

// unlimited is RLIM_INFINITY.
const unlimited = math.MaxUint64

func applyResources(l *specs.Linux, o *plan.OCI) {
	if l.Resources == nil {
		l.Resources = &specs.LinuxResources{}
	}
	r := l.Resources
	r.Devices = slices.Clone(o.DeviceRules)
	if o.PidsLimit > 0 {
		limit := o.PidsLimit
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	if o.MemoryLimit > 0 && r.Memory != nil {
		m := *r.Memory
		// Swap counts memory and swap together and may not be less than memory.
		if m.Swap != nil && *m.Swap > 0 && m.Limit != nil && o.MemoryLimit > *m.Limit {
			grown := o.MemoryLimit - max(0, *m.Limit)
			swap := *m.Swap + min(grown, math.MaxInt64-*m.Swap)
			m.Swap = &swap
		}
		limit := o.MemoryLimit
		m.Limit = &limit
		r.Memory = &m
	}
}
