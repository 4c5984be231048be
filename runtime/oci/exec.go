package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/runtime/supervisor"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// ExecOptions are `exec`'s.
type ExecOptions struct {
	ID string
	// Process is what runs in the VM.
	Process specs.Process
	// RuncArgs are runc's options (--detach, --pid-file, ...) without --process.
	RuncArgs []string
	// IgnorePaused waits for a paused container to be resumed.
	IgnorePaused bool
	// Console says that runc sends the terminal to a console socket. Else it
	// shows it on our own, which converts line ends.
	Console bool
}

// ProcessError is a process that could not be started, in runc's words.
type ProcessError struct{ Failed api.Failed }

func (e *ProcessError) Error() string {
	return "exec failed: unable to start container process: " + e.Failed.Message
}

// Exec runs a process in the VM. The guest starts it first, so that a program
// that cannot be executed is an error of this verb, as with runc; then runc
// starts our relay in the container, which stands for the process.
func (r *Runtime) Exec(ctx context.Context, o ExecOptions) (err error) {
	if err := checkID(o.ID); err != nil {
		return err
	}
	defer r.trace(o.ID)(&err)
	if err := checkProcess(&o.Process); err != nil {
		return fmt.Errorf("exec failed: %w", err)
	}
	token, err := r.startProcess(ctx, o)
	if err != nil {
		return err
	}
	file, err := r.writeRelay(o, token)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	return r.runRunc(ctx, append(append([]string{"exec"}, o.RuncArgs...), "--process", file, o.ID)...)
}

// checkProcess refuses what runc refuses before it looks at the container, in
// its words (validateProcessSpec).
func checkProcess(p *specs.Process) error {
	switch {
	case p.Cwd == "":
		return errors.New("Cwd property must not be empty") //nolint:staticcheck // runc's words
	case !filepath.IsAbs(p.Cwd):
		return errors.New("Cwd must be an absolute path") //nolint:staticcheck // runc's words
	case len(p.Args) == 0:
		return errors.New("args must not be empty")
	}
	return nil
}

// startProcess asks the supervisor to start the process; it waits for a VM
// that boots as long as that may take.
func (r *Runtime) startProcess(ctx context.Context, o ExecOptions) (token string, err error) {
	p, err := r.Plan(o.ID)
	if err != nil {
		return "", err
	}
	o.Process.OOMScoreAdj = p.Guest.Process.OOMScoreAdj // runc takes the container's, whatever the request says
	limit := time.Duration(p.Agent.BootTimeoutSeconds) * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := r.awaitEntrypoint(ctx, o); err != nil {
		return "", err
	}
	conn, err := r.dial(ctx, o.ID)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	reply, err := control.Call(ctx, conn, control.Request{Exec: &control.Exec{
		Process: o.Process, PlainNewlines: o.Process.Terminal && !o.Console,
		NoInput: !o.Process.Terminal && supervisor.HasNoInput(os.Stdin),
	}})
	switch {
	case err != nil:
		return "", r.noAnswer(o.ID, limit, err)
	case reply.Failed != nil:
		return "", &ProcessError{*reply.Failed}
	}
	return reply.Token, nil
}

// noAnswer says why a supervisor has not answered an order within the limit, with
// the machine's last words where it knows no reason itself.
func (r *Runtime) noAnswer(id string, limit time.Duration, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("cannot exec in container %s: the machine was not ready for it within %s (agent.boot_timeout)%s", id, limit, supervisor.LastWords(r.StateDir(id)))
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return fmt.Errorf("cannot exec in container %s: the machine has ended%s", id, supervisor.LastWords(r.StateDir(id)))
	}
	return fmt.Errorf("cannot exec in container %s: %w", id, err)
}

func (r *Runtime) dial(ctx context.Context, id string) (*net.UnixConn, error) {
	conn, err := control.Dial(ctx, r.StateDir(id), func() bool { return r.running(ctx, id) })
	if err != nil {
		return nil, fmt.Errorf("cannot exec in container %s: %w", id, err)
	}
	return conn, nil
}

// pausedCheck is how long a supervisor may be silent until it is worth asking
// runc why.
const pausedCheck = time.Second

// awaitEntrypoint waits until a process can be started. A paused container's
// supervisor answers nothing, and would obey an order when it is resumed, so
// that this comes before the order.
func (r *Runtime) awaitEntrypoint(ctx context.Context, o ExecOptions) error {
	conn, err := r.dial(ctx, o.ID)
	if err != nil {
		return err
	}
	defer conn.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		// An error is the order's to tell: it gets the reason with it.
		_, _ = control.Call(ctx, conn, control.Request{Await: true})
	}()
	for {
		select {
		case <-answered:
			return nil
		case <-time.After(pausedCheck):
		}
		if !o.IgnorePaused && r.status(ctx, o.ID) == "paused" {
			return errors.New("cannot exec in a paused container (use --ignore-paused to override)") // runc's words
		}
	}
}

// writeRelay writes the process.json of the relay, which keeps only the
// terminal of the process that it stands for.
func (r *Runtime) writeRelay(o ExecOptions, token string) (path string, err error) {
	relay := specs.Process{
		Terminal:    o.Process.Terminal,
		ConsoleSize: o.Process.ConsoleSize,
		Args:        []string{plan.SupervisorPath, "relay", token},
		Env:         []string{"PATH=/usr/bin"},
		Cwd:         "/",
	}
	data, err := json.Marshal(relay)
	if err != nil {
		return "", err
	}
	path = filepath.Join(r.StateDir(o.ID), "exec-"+token+".json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write the exec's process: %w", err)
	}
	return path, nil
}

// Plan reads the plan of container id, which another version of RunCVM may have
// made.
func (r *Runtime) Plan(id string) (*plan.Plan, error) {
	data, err := os.ReadFile(filepath.Join(r.StateDir(id), supervisor.PlanFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("container %s is not one that RunCVM created (no plan in %s)", id, r.StateDir(id))
	} else if err != nil {
		return nil, err
	}
	return plan.DecodeRunning(data)
}
