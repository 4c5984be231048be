package rootfs

import (
	"slices"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/guest/api"
)

func TestEnabledControllers(t *testing.T) {
	const list = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\nmemory\t0\t1\t0\npids\t3\t1\t1\n"
	if got, want := enabledControllers(list), []string{"cpuset", "pids"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := enabledControllers(""); got != nil {
		t.Errorf("of nothing: %q", got)
	}
}

func TestChooseCgroups(t *testing.T) {
	some := []string{"cpu", "memory"}
	both := cgroupKernel{v1: true, v2: true, controllers: some}
	onlyV1 := cgroupKernel{v1: true, controllers: some}
	onlyV2 := cgroupKernel{v2: true, controllers: some}
	empty := cgroupKernel{v1: true, v2: true}
	for _, test := range []struct {
		name     string
		kernel   cgroupKernel
		mode     string
		optional bool
		want     string
		lacks    string // what the error says
	}{
		{"hybrid", both, api.CgroupHybrid, false, api.CgroupHybrid, ""},
		{"auto", both, api.CgroupHybrid, true, api.CgroupHybrid, ""},
		{"auto without 1", onlyV2, api.CgroupHybrid, true, api.CgroupV2, ""},
		{"auto without 2", onlyV1, api.CgroupHybrid, true, api.CgroupV1, ""},
		{"auto without controllers", empty, api.CgroupHybrid, true, api.CgroupV2, ""},
		{"auto without any", cgroupKernel{}, api.CgroupHybrid, true, "", ""},
		{"1 without 1", onlyV2, api.CgroupV1, false, "", `version 2 ("2"), with the controllers cpu, memory`},
		{"1 without controllers", empty, api.CgroupV1, false, "", "without controllers"},
		{"2 without 2", onlyV1, api.CgroupV2, false, "", `version 1 ("1"), with`},
		{"2 without controllers", empty, api.CgroupV2, false, api.CgroupV2, ""},
		{"hybrid without 2", onlyV1, api.CgroupHybrid, false, "", `version 1 ("1")`},
		{"2 without any", cgroupKernel{}, api.CgroupV2, false, "", "no control groups"},
	} {
		got, err := test.kernel.choose(api.Cgroupfs{Mode: test.mode, Optional: test.optional})
		if got != test.want || (err == nil) != (test.lacks == "") || err != nil && !strings.Contains(err.Error(), test.lacks) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}
