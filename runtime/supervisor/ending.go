package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// RebootCode is the exit code of a container whose init has rebooted the
// machine: systemd-nspawn's, by which a service manager knows to start it again.
const RebootCode = 133

// minPowerOff is how long an init has at least, once it has ended the agent, to
// unmount and to power off: by shell scripts, in software translation. Who stops
// a container has a limit of their own.
const minPowerOff = time.Minute

// ending is how a machine ends whose PID 1 is the entrypoint: by itself, and
// QEMU with it.
type ending struct {
	mu     sync.Mutex
	reason string // of QEMU's event SHUTDOWN, when the guest caused it
	asked  bool   // the entrypoint has been asked to end

	console lastWords
	ended   chan struct{} // closed when the machine has ended by itself
	code    int           // the container's exit code; valid once ended is closed
}

func (e *ending) init() {
	e.ended = make(chan struct{})
	e.console.halted = make(chan struct{})
}

// ask notes that the entrypoint is asked to end: a reboot is an end, too.
func (e *ending) ask() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = true
}

// over says whether the machine has ended by itself.
func (e *ending) over() bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// notice takes what QEMU says of a shutdown. See ShutdownCause in QEMU's
// qapi/run-state.json.
func (e *ending) notice(event vmm.Event) {
	if event.Name != "SHUTDOWN" {
		return
	}
	var data struct {
		Guest  bool   `json:"guest"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(event.Data, &data) != nil || !data.Guest {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reason = data.Reason
}

// mayEnd says whether the machine may end by itself: its PID 1 is, or is about
// to be, the entrypoint.
func (s *Supervisor) mayEnd() bool {
	return s.plan.Init.Mode == plan.InitExec && s.entrypoint.mayRun()
}

// endMachine decides what QEMU's end by itself means.
func (s *Supervisor) endMachine() {
	<-s.qmp.Done()
	<-s.consoleDone
	e := &s.ending
	e.mu.Lock()
	defer e.mu.Unlock()
	exit, panicked := e.console.panicked()
	switch {
	case exit.known:
		e.code = exit.code
	case panicked, e.reason == "":
		s.fail(s.epitaph(s.qemu))
		return
	case e.reason == "guest-reset" && !e.asked:
		e.code = RebootCode
	}
	s.beginStop()
	s.log.Debug("the machine ended", "reason", e.reason, "code", e.code)
	close(e.ended)
}

// awaitMachine waits until the machine has ended by itself, for a limited time,
// and returns the container's exit code.
func (s *Supervisor) awaitMachine(ctx context.Context, limit time.Duration) (int, bool) {
	if !s.mayEnd() {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-s.ending.ended:
		return s.ending.code, true
	case <-ctx.Done():
		return 0, false
	}
}

// quitHalted ends QEMU when the guest's kernel has halted: nothing runs in the
// machine any more, but it has not been switched off.
func (s *Supervisor) quitHalted(ctx context.Context) {
	select {
	case <-s.ending.console.halted:
	case <-ctx.Done():
		return
	}
	s.ending.mu.Lock()
	s.ending.reason = "guest-halt"
	s.ending.mu.Unlock()
	if err := s.qmp.Execute(ctx, "quit", nil, nil); err != nil {
		s.log.Debug("quit QEMU after a halt", "error", err)
	}
}

// What a Linux kernel says last, kernel/reboot.c and kernel/exit.c.
var (
	haltWords  = []byte("reboot: System halted")
	panicWords = []byte("Kernel panic - not syncing: ")
	initWords  = []byte("Attempted to kill init! exitcode=0x")
)

// lastWords reads the console for the kernel's last words.
type lastWords struct {
	mu     sync.Mutex
	line   []byte
	panic  []byte        // the line after panicWords; nil without a panic
	halted chan struct{} // closed by haltWords
	closed bool
}

// Write never fails.
func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range p {
		if b != '\n' && len(w.line) < maxLine {
			w.line = append(w.line, b)
			continue
		}
		w.take()
	}
	return len(p), nil
}

func (w *lastWords) take() {
	if bytes.Contains(w.line, haltWords) && !w.closed {
		w.closed = true
		close(w.halted)
	}
	if _, rest, ok := bytes.Cut(w.line, panicWords); ok && w.panic == nil {
		w.panic = bytes.Clone(rest)
	}
	w.line = w.line[:0]
}

// initExit is how PID 1 exited, when it did.
type initExit struct {
	code  int
	known bool
}

// panicked says whether the kernel panicked, and how PID 1 exited when that was
// why.
func (w *lastWords) panicked() (initExit, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, rest, ok := bytes.Cut(w.panic, initWords)
	if !ok || len(rest) < 8 {
		return initExit{}, w.panic != nil
	}
	n, err := strconv.ParseUint(string(rest[:8]), 16, 32)
	if err != nil {
		return initExit{}, true
	}
	status := syscall.WaitStatus(n)
	if status.Signaled() {
		return initExit{code: 128 + int(status.Signal()), known: true}, true
	}
	return initExit{code: status.ExitStatus(), known: true}, true
}
