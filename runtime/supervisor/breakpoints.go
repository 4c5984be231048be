package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// breakpoints is where the boot holds.
type breakpoints struct {
	mu      sync.Mutex
	point   string        // where it holds; empty while it goes on
	release chan struct{} // closed to let it go on; valid while it holds
	reached chan struct{} // closed when it holds for the first time
	once    sync.Once
}

func (b *breakpoints) init() { b.reached = make(chan struct{}) }

// hold notes that the boot holds at a point, until the channel is closed.
func (b *breakpoints) hold(point string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.point, b.release = point, make(chan struct{})
	b.once.Do(func() { close(b.reached) })
	return b.release
}

// at returns where the boot holds, and lets it go on when that is asked for.
func (b *breakpoints) at(goOn bool) (point string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	point = b.point
	if goOn && point != "" {
		close(b.release)
		b.point = ""
	}
	return point
}

// breakpoint is the step at which the boot holds if the plan says so.
func (s *Supervisor) breakpoint(point string) func(context.Context) error {
	return func(ctx context.Context) error {
		if s.plan.Debug == nil || !slices.Contains(s.plan.Debug.Breakpoints, point) {
			return nil
		}
		// Who started the container is told that it runs: an engine would keep it
		// locked, so that nobody could stop it. What goes wrong from here on is told
		// on the container's standard error.
		err := os.Remove(filepath.Join(s.dir, control.AwaitFile))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		released := s.breakpoints.hold(point)
		s.log.Info("the boot holds", "breakpoint", point)
		fmt.Fprintf(s.stdio.Err, "runcvm: the boot holds at %s; \"runcvm debug\" tells how to look around and to go on\n", point)
		select {
		case <-released:
			s.log.Info("the boot goes on", "breakpoint", point)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
