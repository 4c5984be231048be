package agent

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/guest/api"
)

func TestParseTask(t *testing.T) {
	const (
		stat   = "70 (a) (b) c) S 69 70 70 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 3 0 4200 5000000 300 18446744073709551615 0 0\n"
		status = "Name:\ta\nUid:\t1000\t1001\t1002\t1003\nNSpid:\t70\t5\t1\n"
	)
	got, err := parseTask(stat, status)
	if err != nil {
		t.Fatal(err)
	}
	want := task{
		stat: api.ProcessStat{
			UID: 1001, State: "S", Threads: 3, CPUNanos: int64(4 * time.Second), RSSBytes: 300 * 4096, Command: "[a) (b) c]",
		},
		numbers: []int{70, 5, 1}, parent: 69, flags: 4194560, began: 42 * time.Second,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(task{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "1", "1 (x", "1 (x) S", ") ("} {
		if _, err := parseTask(bad, status); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

// TestProcesses lists the processes of a container, one of them in a PID namespace
// of its own below. Other containers of the host may be in the list, too.
func TestProcesses(t *testing.T) {
	c := startContainer(t)
	token := strconv.Itoa(os.Getpid())
	spec := shell("unshare --pid --fork sleep 600 # " + token + "\n:")
	able := []string{"CAP_SYS_ADMIN"}
	spec.Capabilities = &specs.LinuxCapabilities{Bounding: able, Effective: able, Permitted: able}
	c.start(false, spec, nil)
	find := func(command string) (found []api.ProcessStat) {
		all, err := c.agent.Processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all.List {
			if strings.HasPrefix(p.Command, command) {
				found = append(found, p)
			}
		}
		return found
	}
	sh := "/bin/sh -c unshare --pid --fork sleep 600 # " + token
	eventually(t, "the processes are listed", func() bool {
		parents := find(sh)
		if len(parents) != 1 {
			return false
		}
		for _, between := range find("unshare --pid --fork sleep 600") {
			for _, p := range find("sleep 600") {
				if p.Parent == between.PID && between.Parent == parents[0].PID {
					return p.PID > between.PID && p.UID == 0 && p.Threads == 1 && p.RSSBytes > 0 && p.AgeNanos < int64(testWait)
				}
			}
		}
		return false
	})
}
