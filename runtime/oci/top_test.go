package oci

import (
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/terminal"
)

// TestTopText: what a guest says cannot do anything to a terminal.
func TestTopText(t *testing.T) {
	top := Top{More: 3, Processes: []api.ProcessStat{
		{
			PID: 1, UID: 7, State: "S\x1b[2J", Threads: 2, CPUNanos: int64(3661 * time.Second), RSSBytes: 5 << 20,
			AgeNanos: int64(49 * time.Hour), Command: "a\tb\n\x1b]0;x\x07\u202eé",
		},
		{PID: 2, Parent: 1, RSSBytes: -1, CPUNanos: -1, AgeNanos: -1, State: "Z", Command: "[b]"},
	}}
	var text strings.Builder
	if err := top.WriteText(&text, terminal.Style{}); err != nil {
		t.Fatal(err)
	}
	want := `PID  PPID  UID  S         THREADS  TIME      RSS      AGE         COMMAND
1    0     7    S\x1b[2J  2        01:01:01  5.0 MiB  2-01:00:00  a\tb\n\x1b]0;x\a\u202eé
2    1     0    Z         0        00:00:00  0 B      00:00:00    [b]
and 3 more
`
	if got := text.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
