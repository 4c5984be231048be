package oci

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// Held is where the boot of a container holds.
type Held struct {
	FormatVersion string `json:"format_version"`
	Container     string `json:"container"` // the name in Docker, or the ID
	// Breakpoint is one of plan's; empty when the boot does not hold.
	Breakpoint string `json:"breakpoint"`
	Continued  bool   `json:"continued,omitempty"` // it goes on now
	PID        int    `json:"pid"`                 // the supervisor's, on the host
	StateDir   string `json:"state_dir"`
}

// Debug tells where the boot of a container holds, and lets it go on when that
// is asked for. The container is named as people do.
func (r *Runtime) Debug(ctx context.Context, asked string, goOn bool) (*Held, error) {
	c, err := r.findContainer(asked)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := control.Dial(ctx, c.dir, func() bool { return false })
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", c.label(), err)
	}
	defer conn.Close()
	pid, err := control.PeerPID(conn)
	if err != nil {
		return nil, err
	}
	reply, err := control.Call(ctx, conn, control.Request{Debug: &control.Debug{Continue: goOn}})
	if err != nil {
		return nil, err
	}
	if goOn && reply.Breakpoint == "" {
		return nil, errors.New("the boot of " + c.label() + " does not hold: there is nothing to go on from")
	}
	return &Held{FormatVersion: "1", Container: c.label(), Breakpoint: reply.Breakpoint, Continued: goOn, PID: pid, StateDir: c.dir}, nil
}

// whatHolds says in words what is there at a breakpoint.
var whatHolds = map[string]string{
	plan.BreakPreNet:  "the container's network is not joined with the machine yet",
	plan.BreakPostNet: "the network is joined with the machine, and virtiofsd runs",
	plan.BreakPreQEMU: "all but QEMU is there",
}

// WriteText writes what a person wants to know.
func (h *Held) WriteText(w io.Writer, _ terminal.Style) error {
	switch {
	case h.Continued:
		_, err := fmt.Fprintf(w, "The boot of %s goes on from %s.\n", h.Container, h.Breakpoint)
		return err
	case h.Breakpoint == "":
		_, err := fmt.Fprintf(w, "The boot of %s does not hold.\n", h.Container)
		return err
	}
	_, err := fmt.Fprintf(w, `The boot of %s holds at %s: %s.

A shell of the host in the container's network:
  nsenter --target %d --net --uts --ipc -- bash
The container's files, with the image in vm/rootfs:
  /proc/%d/root
Plan, configuration and log:
  %s
Go on:
  runcvm debug --continue %s
`, h.Container, h.Breakpoint, whatHolds[h.Breakpoint], h.PID, h.PID, h.StateDir, h.Container)
	return err
}
