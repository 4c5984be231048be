package facts

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestGather(t *testing.T) {
	o := Options{
		CacheDir: t.TempDir(),
		Tools:    plan.Tools{Root: "/opt/runcvm/root"},
		Image:    plan.Image{Labels: map[string]string{"a": "b"}},
		Bundle:   plan.Bundle{RootPath: "/r"},
		Kernels:  []plan.InstalledKernel{{Distribution: "debian", Version: "6.1"}},
	}
	got, err := Gather(o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Gather(o)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, again); d != "" {
		t.Errorf("the second time: %s", d)
	}
	h := got.Host
	if h.Architecture != runtime.GOARCH || h.Kernel == "" || h.MemoryMiB < 64 || h.CPUs < 1 || got.KVM.Reason == "" || got.VHostNet.Reason == "" || got.Vsock.Reason == "" {
		t.Errorf("got %+v", got)
	}
	got.Host, got.KVM, got.VHostNet, got.Vsock = plan.Host{}, plan.KVM{}, plan.VHostNet{}, plan.Vsock{}
	if d := cmp.Diff(plan.Facts{Tools: o.Tools, Image: o.Image, Bundle: o.Bundle, Kernels: o.Kernels}, got); d != "" {
		t.Error(d)
	}
}

// The count is of the CPUs that this process may use, not of the machine's.
func TestUsableCPUsFollowsAffinity(t *testing.T) {
	result := make(chan int)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		set := unix.NewCPUSet(1024)
		if err := unix.SchedGetaffinityDynamic(0, set); err != nil {
			t.Error(err)
		}
		first := 0
		for !set.IsSet(first) {
			first++
		}
		set.Zero()
		set.Set(first)
		if err := unix.SchedSetaffinityDynamic(0, set); err != nil {
			t.Error(err)
		}
		n, err := usableCPUs()
		if err != nil {
			t.Error(err)
		}
		result <- n
	}()
	if n := <-result; n != 1 {
		t.Errorf("got %d CPUs, want 1", n)
	}
}

// Container creation waits for this.
func BenchmarkGatherWithKeptVerdict(b *testing.B) {
	o := Options{CacheDir: b.TempDir()}
	if _, err := Gather(o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Gather(o); err != nil {
			b.Fatal(err)
		}
	}
}
