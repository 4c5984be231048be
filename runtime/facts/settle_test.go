package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestSettle(t *testing.T) {
	then := plan.Facts{
		Host:    plan.Host{CPUs: 8, MaxOpenFiles: 1 << 20, MemoryMiB: 4000, TSCKHz: 2899998, HasTun: true, Kernel: "6.1"},
		KVM:     plan.KVM{Reason: "It took 1150 ms."},
		Tools:   plan.Tools{QEMUVersion: "7.2"},
		Kernels: []plan.InstalledKernel{{Version: "6.1.0"}},
	}
	now := plan.Facts{
		Host:    plan.Host{CPUs: 2, MaxOpenFiles: 1024, MemoryMiB: 4001, TSCKHz: 2900001, Kernel: "6.1"},
		KVM:     plan.KVM{Reason: "It took 1170 ms."},
		Tools:   plan.Tools{QEMUVersion: "10.0"},
		Kernels: []plan.InstalledKernel{{Version: "6.1.0"}, {Version: "6.12.0"}},
	}
	want := now
	want.Host = then.Host
	want.Host.HasTun = false // the driver is gone: that is no other measurement
	want.KVM = then.KVM
	if diff := cmp.Diff(want, Settle(then, now)); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
	then.Bundle.Sockets = []plan.HostSocket{{Path: "/log", Type: plan.SocketDatagram}, {Path: "/gone", Type: plan.SocketStream}}
	now.Bundle.Sockets = []plan.HostSocket{{Path: "/new", Type: plan.SocketSeqpacket}, {Path: "/log", Type: plan.SocketStream}}
	wantSockets := []plan.HostSocket{now.Bundle.Sockets[0], then.Bundle.Sockets[0]}
	if diff := cmp.Diff(wantSockets, Settle(then, now).Bundle.Sockets); diff != "" || now.Bundle.Sockets[1].Type != plan.SocketStream {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	now.KVM = plan.KVM{Usable: true, Reason: "It took 1 ms."}
	if got := Settle(then, now); got.KVM != now.KVM {
		t.Errorf("another verdict is lost: %+v", got.KVM)
	}
}
