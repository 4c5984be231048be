// Package agent runs the container's processes in the guest: the entrypoint in
// a PID and a mount namespace of its own, and every other process in those.
//
// Each process begins as a stage: this program again, with "child" as its
// argument, which gets its orders over a socket, makes itself what the
// specification says and executes the program. The first process's stage is
// started early and also makes the container's root file system, from within
// its namespaces.
package agent

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// ChildArg is the first argument of this program when it is to be a stage: main
// then calls Stage.
const ChildArg = "child"

// Config is what an agent needs of its surroundings.
type Config struct {
	Reaper *Reaper
	// Spawn runs a function in a goroutine that must not end the program by a
	// panic in silence. Nil is a plain goroutine.
	Spawn func(func())
	// ShareDir and RootDir are where the share is mounted and the container's
	// root put together. They are made.
	ShareDir string
	RootDir  string
	// Orders, when not 0, is a descriptor to the VM's PID 1, which obeys them as
	// a stage (StagePID1) and becomes the entrypoint. The agent then is another
	// process of the VM, with a mount namespace of its own.
	Orders int
}

// Agent runs processes. Its methods may be called concurrently.
type Agent struct {
	config  Config
	null    *os.File // the stages' first descriptors
	streams streams
	first   firstProcess

	confinement confinement
	filter      *api.SyscallFilter // of the processes' system calls; nil for none
}

// New returns an agent whose first process is a stage, waiting for orders.
func New(config Config) (*Agent, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	a := &Agent{config: config, null: null}
	start := a.startFirst
	if config.Orders != 0 {
		start = a.adoptPID1
	}
	if err := start(); err != nil {
		return nil, err
	}
	return a, nil
}

// FilterSyscalls puts every process under a filter. It must be called before the
// first one starts.
func (a *Agent) FilterSyscalls(filter *api.SyscallFilter) { a.filter = filter }

// beside says that the entrypoint is the VM's PID 1.
func (a *Agent) beside() bool { return a.config.Orders != 0 }

func (a *Agent) spawn(f func()) {
	if a.config.Spawn != nil {
		a.config.Spawn(f)
		return
	}
	go f()
}

// ServeStdio takes a KindStdio stream for its process.
func (a *Agent) ServeStdio(open api.Open, stream Stream) {
	a.streams.put(streamKey{open.Process, open.FD}, stream)
}

// ServeProcess serves a KindProcess stream from the message Process to the
// event Exited.
func (a *Agent) ServeProcess(stream Stream) {
	defer stream.Close()
	var request api.Process
	if err := api.Read(stream, &request); err != nil {
		return
	}
	p, err := a.start(&request)
	if err != nil {
		_ = api.Write(stream, api.ProcessEvent{Failed: failure(err)})
		return
	}
	started := &api.Started{PID: p.pid, UptimeNanos: Uptime()}
	if err := api.Write(stream, api.ProcessEvent{Started: started}); err != nil {
		// The session is dead; the process ends with the VM.
		return
	}
	a.spawn(func() { a.serveControls(stream, p) })
	p.stdio.run()
	status := <-p.exited
	event := exited(status)
	event.Output = p.stdio.finish(request.Init && !a.beside())
	_ = api.Write(stream, api.ProcessEvent{Exited: event})
}

// serveControls carries out what the supervisor asks of a running process. A
// request that comes too late, or does not fit, has no effect, as with kill(1)
// on a process that has ended.
func (a *Agent) serveControls(stream Stream, p *process) {
	signals := make(chan unix.Signal, 64)
	defer close(signals)
	a.spawn(func() {
		for sig := range signals { // in order, though one may have to wait
			if p.init {
				awaitHandler(p.pid, p.start.Add(p.patience), sig)
			}
			_ = p.signal(sig)
		}
	})
	for {
		var c api.ProcessControl
		if err := api.Read(stream, &c); err != nil {
			return
		}
		switch sig := unix.Signal(c.Signal); sig {
		case 0:
		case unix.SIGKILL: // waits for nothing
			_ = p.signal(sig)
		default:
			signals <- sig
		}
		if c.Resize != nil {
			_ = p.stdio.resize(c.Resize.Rows, c.Resize.Cols)
		}
	}
}

// Shutdown kills every process of the container and waits until they are gone.
func (a *Agent) Shutdown(timeout time.Duration) error {
	if a.beside() {
		return a.killAll(timeout)
	}
	return a.first.kill(a.config.Reaper, timeout)
}

func exited(status unix.WaitStatus) *api.Exited {
	if status.Signaled() {
		sig := int(status.Signal())
		return &api.Exited{Code: 128 + sig, Signal: sig}
	}
	return &api.Exited{Code: status.ExitStatus()}
}

// startError is why a process could not be started, with the code that its
// caller shall exit with.
type startError api.Failed

func (e *startError) Error() string { return e.Message }

// failure makes a message of an error. What says nothing of the code is our
// own trouble: 1.
func failure(err error) *api.Failed {
	var e *startError
	if errors.As(err, &e) {
		return (*api.Failed)(e)
	}
	return &api.Failed{Code: 1, Message: err.Error()}
}

// Uptime is CLOCK_BOOTTIME in nanoseconds.
func Uptime() int64 {
	var ts unix.Timespec
	// It cannot fail on a Linux that Go supports.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return ts.Nano()
}

// firstProcess is the container's PID 1, from stage to end.
type firstProcess struct {
	mu        sync.Mutex // guards what follows, and one order at a time
	pid       int
	channel   channel
	exited    <-chan unix.WaitStatus
	killed    chan unix.WaitStatus // exited's other end, of the VM's PID 1
	requested bool
	ordered   atomic.Pointer[unix.WaitStatus] // how it counts as ended; see endWith

	started chan struct{} // closed when the program runs, or will not
	failed  bool          // valid once started is closed
	gone    chan struct{} // closed when it has ended
	pidNS   *os.File
	mountNS *os.File
	share   *os.File // see MountShare; nil without a share
	ownsDev bool     // the container's /dev is its own
	root    *os.File // see KeepRoot; nil without
	modules *os.File // see KeepModules; nil without modules
	volumes *os.File // likewise of MountVolumes
}

func (f *firstProcess) kill(r *Reaper, timeout time.Duration) error {
	_ = r.signal(f.pid, unix.SIGKILL)
	select {
	case <-f.gone:
	case <-time.After(timeout):
		return fmt.Errorf("the container's processes did not end within %v of SIGKILL", timeout)
	}
	// These descriptors alone keep the container's mounts.
	f.mountNS.Close()
	if f.root != nil {
		f.root.Close()
	}
	f.pidNS.Close()
	return nil
}
