package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
)

// endedBySignal ends a run by a signal that the entrypoint did not get, or did
// not end by in time.
type endedBySignal syscall.Signal

func (e endedBySignal) Error() string {
	return fmt.Sprintf("the container was ended by signal %d", int(e))
}

// code is the container's exit code.
func (e endedBySignal) code() int { return 128 + int(e) }

// ends says whether signal n is one by which people and engines end a process.
func ends(n syscall.Signal) bool {
	switch n {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
		return true
	}
	return false
}

// entrypoint is the container's main process, and the signals that wait for
// its start.
type entrypoint struct {
	mu        sync.Mutex
	requested bool     // the guest has been told to start it
	process   *process // nil until it has started
	pending   []int    // signals that came before
}

// notify begins to catch signals. It comes first of all: as PID 1 the
// supervisor loses what it does not catch.
func notify() <-chan os.Signal {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	return signals
}

// started makes p the receiver of signals, beginning with those that waited.
func (e *entrypoint) started(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.process = p
	for _, n := range e.pending {
		_ = p.control(api.ProcessControl{Signal: n})
	}
	e.pending = nil
}

// signal sends signal n to the entrypoint, or keeps it until that has started.
func (e *entrypoint) signal(n int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process == nil {
		e.pending = append(e.pending, n)
		return nil
	}
	return e.process.control(api.ProcessControl{Signal: n})
}

// running says whether the entrypoint has started.
func (e *entrypoint) running() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.process != nil
}

// request says that the guest is about to be told to start the entrypoint.
func (e *entrypoint) request() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requested = true
}

// mayRun says whether the entrypoint may have started.
func (e *entrypoint) mayRun() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requested
}

// resize tells the entrypoint's terminal its size.
func (e *entrypoint) resize(w *api.Window) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process != nil && w != nil {
		_ = e.process.control(api.ProcessControl{Resize: w})
	}
}

// forwardSignals sends the entrypoint what the container's PID 1 receives.
func (s *Supervisor) forwardSignals(signals <-chan os.Signal) {
	for sig := range signals {
		n, ok := sig.(syscall.Signal)
		switch {
		case !ok || ignoredSignals[n]:
		case n == syscall.SIGWINCH && s.hasTerminal():
			s.entrypoint.resize(windowSize(s.stdio.In))
		default:
			s.signal(int(n))
		}
	}
}

// signal sends the entrypoint signal n. SIGKILL ends the VM in any case. While
// it boots a signal that ends processes ends it at once, and others wait.
func (s *Supervisor) signal(n int) {
	s.log.Debug("signal", "number", n)
	if n == int(syscall.SIGKILL) {
		limit := time.Duration(s.plan.Agent.StopTimeoutSeconds) * time.Second
		time.AfterFunc(limit, func() {
			s.log.Warn("the VM did not end after SIGKILL: killing it", "limit", limit)
			s.fail(endedBySignal(n))
			s.killChildren() // what waits for the guest without a bound ends with QEMU
		})
	}
	if ends(syscall.Signal(n)) && !s.entrypoint.running() {
		s.fail(endedBySignal(n))
		return
	}
	if other, ok := s.plan.Init.Signals[n]; ok {
		s.ending.ask()
		n = other
	}
	if err := s.entrypoint.signal(n); err != nil {
		s.log.Warn("forward a signal", "number", n, "error", err)
	}
}

// runEntrypoint starts the container's process in the VM, connects its stdio
// and waits for its end.
func (s *Supervisor) runEntrypoint(ctx context.Context) (int, error) {
	spec := s.entrypointSpec()
	s.entrypoint.request()
	if s.plan.Init.Mode == plan.InitExec {
		go s.quitHalted(ctx)
	}
	p, err := s.guest.exec(s.entrypointRequest(spec))
	if errors.Is(err, errGuestGone) {
		if code, ok := s.awaitMachine(ctx, deathIsKnown); ok {
			return code, nil // so soon that the guest could not say that it had started
		}
	}
	if err != nil {
		return 0, err
	}
	s.timeline.mark(api.MilestoneEntrypoint)
	if s.hasTerminal() {
		restore, err := rawTerminal(s.stdio.In)
		if err != nil {
			return 0, fmt.Errorf("set the container's terminal to raw mode: %w", err)
		}
		defer restore()
	}
	s.attachSerial()
	output := p.attach(s.stdio.In, s.stdio.Out, s.stdio.Err)
	s.entrypoint.started(p)
	if s.hasTerminal() {
		s.entrypoint.resize(windowSize(s.stdio.In)) // it may have changed meanwhile
	}
	s.execs.open()
	if err := s.timeline.write(s.dir); err != nil {
		s.log.Warn("write the timeline", "error", err)
	}
	exited, err := s.awaitExit(ctx, p)
	if err != nil {
		return 0, err
	}
	select {
	case <-output.ended():
	case <-ctx.Done(): // whoever reads our output may never go on
		return 0, context.Cause(ctx)
	}
	s.log.Debug("the entrypoint ended", "code", exited.Code)
	return exited.Code, nil
}

// awaitExit waits for p's end.
func (s *Supervisor) awaitExit(ctx context.Context, p *process) (api.Exited, error) {
	select {
	case exited, ok := <-p.exited:
		if ok {
			return exited, nil
		}
		// An init ends every other process, the agent too, before the machine.
		limit := time.Duration(s.plan.Agent.StopTimeoutSeconds) * time.Second
		if code, ok := s.awaitMachine(ctx, max(limit, minPowerOff)); ok {
			return api.Exited{Code: code}, nil
		}
		return exited, fmt.Errorf("%w%s", errGuestGone, s.console.Quote())
	case <-ctx.Done():
		return api.Exited{}, context.Cause(ctx)
	}
}
