package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// Variables returns what a profile's expressions see of a container and of the
// facts.
func Variables(spec *specs.Spec, facts *plan.Facts) schema.Variables {
	v := schema.Variables{
		Host: schema.Host{
			CPUs:         facts.Host.CPUs,
			Memory:       units.Bytes(facts.Host.MemoryMiB) * units.MiB,
			Architecture: facts.Host.Architecture,
			Kernel:       facts.Host.Kernel,
			KVM:          facts.KVM.Usable,
			QEMU:         facts.Tools.QEMUVersion,
			Virtiofsd:    facts.Tools.VirtiofsdKind,
		},
		Image: schema.Image{Labels: maps.Clone(facts.Image.Labels)},
	}
	if spec.Process != nil {
		v.Container.Args, v.Container.Env = slices.Clone(spec.Process.Args), slices.Clone(spec.Process.Env)
	}
	if spec.Linux != nil && spec.Linux.Resources != nil {
		v.Container.CPUs = containerCPUs(spec.Linux.Resources.CPU)
		if m := spec.Linux.Resources.Memory; m != nil && m.Limit != nil && *m.Limit > 0 && *m.Limit < unlimited {
			limit := units.Bytes(*m.Limit)
			v.Container.Memory = &limit
		}
	}
	return v
}

// unlimited is a memory limit, in bytes, that is none: cgroup v1 shows no limit
// as the largest multiple of the page size, and engines hand that on.
const unlimited = 1 << 60

// containerCPUs is the number of vCPUs that can run at once within the limits:
// the CPU time of a period, rounded up, and at most the CPUs of the set. It is
// nil without limits.
func containerCPUs(cpu *specs.LinuxCPU) *int {
	if cpu == nil {
		return nil
	}
	var limit *int
	if cpu.Quota != nil && *cpu.Quota > 0 {
		period := uint64(100_000) // the kernel's default, in microseconds
		if cpu.Period != nil && *cpu.Period > 0 {
			period = *cpu.Period
		}
		quota := uint64(*cpu.Quota)
		n := quota / period
		if quota%period != 0 {
			n++
		}
		// Beyond any machine; the compiler refuses it.
		count := int(min(n, 1<<20))
		limit = &count
	}
	if n := countCPUs(cpu.Cpus); n > 0 && (limit == nil || n < *limit) {
		limit = &n
	}
	return limit
}

// countCPUs counts the CPUs of a list such as "0-2,5", the form of
// cpuset.cpus(7). It returns 0 for one that is empty or malformed, which the
// kernel itself refuses.
func countCPUs(list string) int {
	seen := map[int]bool{}
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || a > b {
			return 0
		}
		for n := a; n <= b; n++ {
			seen[int(n)] = true
		}
	}
	return len(seen)
}
