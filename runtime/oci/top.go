package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// Top is what runs in a container.
type Top struct {
	FormatVersion string            `json:"format_version"`
	Container     string            `json:"container"` // the name in Docker, or the ID
	Processes     []api.ProcessStat `json:"processes"`
	More          int               `json:"more"` // how many others there are
}

// Top asks a container's guest for its processes. The container is named as people
// do.
func (r *Runtime) Top(ctx context.Context, asked string) (*Top, error) {
	c, err := r.findContainer(asked)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, control.ProcessesLimit)
	defer cancel()
	conn, err := control.Dial(ctx, c.dir, func() bool { return false })
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", c.label(), err)
	}
	defer conn.Close()
	reply, err := control.Call(ctx, conn, control.Request{Processes: true})
	if err == nil && reply.Processes == nil {
		err = errors.New(control.NoContent)
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", c.label(), err)
	}
	return &Top{FormatVersion: "1", Container: c.label(), Processes: reply.Processes.List, More: reply.Processes.More}, nil
}

// WriteText writes a table like that of ps(1).
func (t *Top) WriteText(w io.Writer, _ terminal.Style) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PID\tPPID\tUID\tS\tTHREADS\tTIME\tRSS\tAGE\tCOMMAND")
	for _, p := range t.Processes {
		fmt.Fprintf(table, "%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\n", p.PID, p.Parent, p.UID, printable(p.State), p.Threads,
			clock(p.CPUNanos), humanize.IBytes(uint64(max(0, p.RSSBytes))), clock(p.AgeNanos), printable(p.Command))
	}
	if t.More > 0 {
		fmt.Fprintf(table, "and %d more\n", t.More)
	}
	return table.Flush()
}

// clock is a duration as [DAYS-]HH:MM:SS.
func clock(nanos int64) string {
	s := int64(time.Duration(nanos) / time.Second)
	text := fmt.Sprintf("%02d:%02d:%02d", s/3600%24, s/60%60, s%60)
	if days := s / (24 * 3600); days > 0 {
		return fmt.Sprintf("%d-%s", days, text)
	}
	return text
}

// printable escapes what could do something to a terminal: the guest chooses it.
func printable(command string) string {
	var b strings.Builder
	for _, r := range command {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
