package facts

import (
	"slices"

	"github.com/runcvm/runcvm/engine/plan"
)

// Settle returns the facts to compile a running machine's plan with again: now,
// what is known now, with those of then, when it was created, in the place of
// what differs without the host having changed:
//
//   - what a measurement found, as long as its verdict is the same: a probe
//     measures another time, or another frequency, each time it runs;
//   - what belongs to the process that looks: a shell has other CPUs and another
//     limit of open files than a container engine.
//
// What is installed, and whether KVM and taps can be used, is of now.
func Settle(then, now plan.Facts) plan.Facts {
	settled := now
	settled.Host.CPUs = then.Host.CPUs
	settled.Host.MaxOpenFiles = then.Host.MaxOpenFiles
	settled.Host.MemoryMiB = then.Host.MemoryMiB
	settled.Host.HugePages = then.Host.HugePages // which the machine itself has taken
	settled.Host.TSCKHz = then.Host.TSCKHz
	if now.KVM.Usable == then.KVM.Usable {
		settled.KVM = then.KVM
	}
	// The type of a socket that nobody serves any more cannot be found out.
	settled.Bundle.Sockets = slices.Clone(now.Bundle.Sockets)
	for i, s := range settled.Bundle.Sockets {
		at := slices.IndexFunc(then.Bundle.Sockets, func(o plan.HostSocket) bool { return o.Path == s.Path })
		if at >= 0 {
			settled.Bundle.Sockets[i].Type = then.Bundle.Sockets[at].Type
		}
	}
	return settled
}
