package oci

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestResize(t *testing.T) {
	quota, period := int64(150_000), uint64(100_000)
	p := &plan.Plan{Machine: plan.Machine{CPUs: 2, MaxCPUs: 4, MemoryMiB: 512, MaxMemoryMiB: 1024, OverheadMiB: 100}}
	before := sizes{CPUs: 2, MemoryMiB: 512, CPU: specs.LinuxCPU{Quota: &quota, Period: &period}}
	for _, test := range []struct {
		flags string
		want  sizes
		lacks string // what the error says
	}{
		{"", sizes{CPUs: 2, MemoryMiB: 512}, ""},
		{"--cpu-share=600 --blkio-weight=100", sizes{CPUs: 2, MemoryMiB: 512}, ""},
		{"--cpu-quota=350000", sizes{CPUs: 4, MemoryMiB: 512}, ""},
		{"--cpu-quota=350000 --cpuset-cpus=0-2", sizes{CPUs: 3, MemoryMiB: 512}, ""},
		{"--cpuset-cpus=1", sizes{CPUs: 1, MemoryMiB: 512}, ""},
		{"--cpu-quota=-1", sizes{CPUs: 2, MemoryMiB: 512}, ""},
		{"--cpu-period=50000", sizes{CPUs: 3, MemoryMiB: 512}, ""},
		{"--cpu-quota=400001", sizes{}, "machine.max_cpus"},
		{"--memory=1g --memory-swap=-1", sizes{CPUs: 2, MemoryMiB: 1024}, ""},
		{"--memory=96m", sizes{CPUs: 2, MemoryMiB: 96}, ""},
		{"--memory=95m", sizes{}, "96m is the least"},
		{"--memory=1025m", sizes{}, "machine.max_memory"},
		{"--memory=-1", sizes{CPUs: 2, MemoryMiB: 512}, ""},
		{"--pids-limit=70", sizes{CPUs: 2, MemoryMiB: 512, PidsLimit: 70}, ""},
		{"--pids-limit=0", sizes{CPUs: 2, MemoryMiB: 512}, ""},
	} {
		asked, err := flagResources(strings.Fields(test.flags))
		if err != nil {
			t.Fatalf("%s: %v", test.flags, err)
		}
		got, err := resize(p, before, asked)
		if test.lacks != "" {
			if err == nil || !strings.Contains(err.Error(), test.lacks) {
				t.Errorf("%s: %v, want an error with %q", test.flags, err, test.lacks)
			}
			continue
		}
		got.CPU = specs.LinuxCPU{}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", test.flags, err, diff)
		}
	}
}

func TestSurround(t *testing.T) {
	p := &plan.Plan{Machine: plan.Machine{OverheadMiB: 100}}
	asked, err := flagResources([]string{"--memory=200m", "--memory-swap=300m", "--pids-limit=10"})
	if err != nil {
		t.Fatal(err)
	}
	surround(asked, p)
	if *asked.Memory.Limit != 300*mib || *asked.Memory.Swap != 400*mib || *asked.Pids.Limit != plan.OuterPidsLimit(10) {
		t.Errorf("%+v, %+v", asked.Memory, asked.Pids)
	}
	asked, err = flagResources([]string{"--memory=-1", "--memory-swap=-1", "--pids-limit=-1"})
	if err != nil {
		t.Fatal(err)
	}
	surround(asked, p)
	if *asked.Memory.Limit != -1 || *asked.Memory.Swap != -1 || *asked.Pids.Limit != -1 {
		t.Errorf("without limits: %+v, %+v", asked.Memory, asked.Pids)
	}
	for _, flag := range []string{"--memory=much", "--cpu-quota=x", "--other=1"} {
		if _, err := flagResources([]string{flag}); err == nil || !strings.Contains(err.Error(), "--") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
