package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// listed is a process as `runcvm top` tells it.
type listed struct {
	PID     int    `json:"pid"`
	Parent  int    `json:"ppid"`
	UID     int    `json:"uid"`
	State   string `json:"state"`
	Threads int    `json:"threads"`
	CPU     int64  `json:"cpu_nanos"`
	RSS     int64  `json:"rss_bytes"`
	Age     int64  `json:"age_nanos"`
	Command string `json:"command"`
}

func (c *container) top() []listed {
	c.t.Helper()
	var top struct{ Processes []listed }
	out, err := harness.Installed().Command(c.t.Context(), "top", "--format", "json", c.name).CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, &top)
	}
	if err != nil {
		c.t.Fatalf("runcvm top: %v: %s", err, out)
	}
	return top.Processes
}

// TestTop compares what runcvm tells of a container's processes with what the
// container sees of them.
func TestTop(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, image, "bash", "-c", "setpriv --reuid 1000 sleep 600 & exec -a $'an odd\\tname' sleep infinity")
	var top []listed
	eventually(t, "both processes sleep", func() bool {
		top = c.top()
		return len(top) == 2 && top[0].State == "S" && top[1].State == "S" && top[1].Command == "sleep 600"
	})
	for i, expected := range []listed{{PID: 1, Command: "an odd\tname infinity"}, {PID: top[1].PID, Parent: 1, UID: 1000, Command: "sleep 600"}} {
		got := top[i]
		if got.RSS < 1<<16 || got.CPU == 0 && got.PID == 1 || got.Age <= 0 {
			t.Errorf("process %d: %+v", i, got)
		}
		expected.State, expected.Threads, expected.RSS, expected.CPU, expected.Age = "S", 1, got.RSS, got.CPU, got.Age
		if got != expected {
			t.Errorf("process %d: got %+v, want %+v", i, got, expected)
		}
	}
	want(t, c.exec("cat", fmt.Sprintf("/proc/%d/comm", top[1].PID)), stdout("sleep\n"))
	text, err := harness.Installed().Command(t.Context(), "top", c.name).CombinedOutput()
	if rows := strings.Split(string(text), "\n"); err != nil || len(rows) != 4 || !strings.HasSuffix(rows[1], `an odd\tname infinity`) {
		t.Errorf("%v: %s", err, text)
	}
}
