package agent

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// process is a running process of the container.
type process struct {
	pid    int // in the guest's own namespace
	exited <-chan unix.WaitStatus
	stdio  *stdio
	signal func(unix.Signal) error

	init     bool
	start    time.Time
	patience time.Duration // see awaitHandler
}

// start starts a process. On error nothing of it is left, its streams
// included.
func (a *Agent) start(request *api.Process) (*process, error) {
	open, err := a.streams.take(request.ID, request.Stdio)
	if err != nil {
		return nil, err
	}
	if len(request.Spec.Args) == 0 {
		closeAll(open)
		return nil, errors.New("process args cannot be empty")
	}
	std, err := a.openStdio(open, request)
	if err != nil {
		return nil, err
	}
	var p *process
	if request.Init {
		p, err = a.runFirst(request, std)
	} else {
		p, err = a.runOther(request, std)
	}
	if err != nil {
		std.abandon()
		return nil, err
	}
	std.closeChild()
	return p, nil
}

// runFirst lets the waiting stage become the container's entrypoint.
func (a *Agent) runFirst(request *api.Process, s *stdio) (*process, error) {
	f := &a.first
	if err := f.claim(); err != nil {
		return nil, err
	}
	err := a.run(f.pid, f.channel, request, s)
	f.settle(err)
	if err != nil {
		_ = a.config.Reaper.signal(f.pid, unix.SIGKILL)
		return nil, err
	}
	p := &process{pid: f.pid, exited: f.exited, stdio: s, init: true, start: time.Now(), patience: patience}
	p.signal = func(sig unix.Signal) error { return a.config.Reaper.signal(p.pid, sig) }
	if a.beside() {
		p.patience, p.signal = initPatience, a.signalPID1
	}
	return p, nil
}

// runOther starts a process beside the entrypoint.
func (a *Agent) runOther(request *api.Process, s *stdio) (*process, error) {
	if err := a.first.running(); err != nil {
		return nil, err
	}
	pid, exited, ch, err := a.joinStage(a.first.pidNS)
	if err != nil {
		return nil, err
	}
	if err := a.run(pid, ch, request, s, int(a.first.mountNS.Fd())); err != nil {
		_ = a.config.Reaper.signal(pid, unix.SIGKILL)
		return nil, err
	}
	p := &process{pid: pid, exited: exited, stdio: s}
	p.signal = func(sig unix.Signal) error { return a.config.Reaper.signal(pid, sig) }
	return p, nil
}

// run tells a stage to become the program, within the container's limits, and
// waits until it has. It closes the channel.
func (a *Agent) run(pid int, ch channel, request *api.Process, s *stdio, fds ...int) error {
	defer ch.close()
	if err := a.confine(pid); err != nil {
		return err
	}
	o := order{Run: &runOrder{
		Init: request.Init, PID1: request.Init && a.beside(), Stdio: s.fds,
		Console: request.Console, PlainNewlines: request.PlainNewlines, Spec: request.Spec, Filter: a.filter,
	}}
	for _, f := range s.child {
		fds = append(fds, int(f.Fd()))
	}
	if err := ch.send(o, fds...); err != nil {
		return fmt.Errorf("the process ended before it was told what to run: %w", err)
	}
	executing := false
	for {
		var r report
		received, err := ch.receive(&r)
		switch {
		case errors.Is(err, io.EOF) && executing:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the process was ended before it ran its program")
		case err != nil:
			return err
		case r.Failed != nil:
			return (*startError)(r.Failed)
		case r.Terminal && len(received) == 1:
			s.connectTerminal(received[0])
		case r.Executing:
			executing = true
		}
	}
}
