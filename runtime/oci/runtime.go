// Package oci is the OCI runtime: the verbs as containerd's runc shim calls
// them. What a VM needs to change it changes; the rest it hands to runc.
package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/runtime/install"
)

// Defaults of Runtime's fields.
const (
	DefaultPrefix      = install.DefaultPrefix
	DefaultProfilesDir = profiles.HostDir
	DefaultRunDir      = "/run/runcvm"
	DefaultRoot        = "/run/runc" // runc's own
)

// Runtime is one invocation's settings.
type Runtime struct {
	// Runc is the path of the OCI runtime below this one.
	Runc string
	// GlobalArgs are runc's global options as this invocation got them.
	GlobalArgs []string
	// Root is runc's state folder (--root).
	Root string
	// Prefix is where RunCVM is installed.
	Prefix string
	// ProfilesDir has the host's profiles.
	ProfilesDir string
	// PatchesDir has the host's patches; empty for the folder "patches" beside
	// ProfilesDir.
	PatchesDir string
	// RunDir has the containers' state folders and the probe's cache.
	RunDir string
	// debug is the log of the container that the verb is about, when that wants one.
	debug *slog.Logger
	// Warn is told what a VM does not honour as it was asked to.
	Warn func(plan.Warning)
}

// runcNames are the runtimes that FindRunc looks for, the first one first.
var runcNames = []string{"runc", "docker-runc", "crun"}

// systemPath is searched after $PATH: containerd may run with a short one.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// FindRunc returns the path of the OCI runtime to use: asked, when it is not
// empty, else the first of runc, docker-runc and crun in $PATH or the system's
// folders.
func FindRunc(asked string) (string, error) {
	if asked != "" {
		path, err := exec.LookPath(asked)
		if err != nil {
			return "", fmt.Errorf("the runtime given by --runtime cannot be run: %w", err)
		}
		return path, nil
	}
	for _, name := range runcNames {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		for _, dir := range filepath.SplitList(systemPath) {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("none of %s was found in $PATH or %s: install runc, or give its path by --runtime",
		strings.Join(runcNames, ", "), systemPath)
}

// checkID refuses ids that would name another folder. runc checks the rest.
func checkID(id string) error {
	if id == "" || id == "." || id == ".." || strings.ContainsRune(id, '/') {
		return fmt.Errorf("invalid container id %q", id)
	}
	return nil
}

// runc returns a command of the runtime below, with our stdio.
func (r *Runtime) runc(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Runc, append(append([]string{}, r.GlobalArgs...), args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// RuncError is a failure of the runtime below. It has reported it itself, on
// stderr and in the log.
type RuncError struct{ Code int }

func (e *RuncError) Error() string { return fmt.Sprintf("runc failed with exit code %d", e.Code) }

// runRunc runs the runtime below and waits. Descriptors that the caller of
// ours passes beyond stdio (--preserve-fds, LISTEN_FDS) are not passed on.
func (r *Runtime) runRunc(ctx context.Context, args ...string) error {
	return r.runRuncWith(ctx, nil, args...)
}

// runRuncWith runs the runtime below with files as its descriptors from 3 on,
// and closes them here as soon as it has them.
func (r *Runtime) runRuncWith(ctx context.Context, files []*os.File, args ...string) error {
	cmd := r.runc(ctx, args...)
	cmd.ExtraFiles = files
	signals := catchSignals()
	defer signal.Stop(signals)
	err := cmd.Start()
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		return runError(r.Runc, err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go forwardSignals(cmd.Process, signals, ended)
	err = cmd.Wait()
	if r.debug != nil {
		r.debug.Info("ran runc", "argv", cmd.Args, "state", cmd.ProcessState.String())
	}
	if err != nil {
		return runError(r.Runc, err)
	}
	return nil
}

// runError is a *RuncError where the program ended with an exit code.
func runError(path string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return &RuncError{exit.ExitCode()}
	}
	return fmt.Errorf("run %s: %w", path, err)
}

// Passthrough replaces this process by the runtime below.
func (r *Runtime) Passthrough(args ...string) error {
	argv := append(append([]string{r.Runc}, r.GlobalArgs...), args...)
	return fmt.Errorf("run %s: %w", r.Runc, syscall.Exec(r.Runc, argv, os.Environ()))
}

// known says whether runc has a state of container id.
func (r *Runtime) known(id string) bool {
	_, err := os.Stat(filepath.Join(r.Root, id))
	return err == nil
}

// Delete deletes the container, then our state of it.
func (r *Runtime) Delete(ctx context.Context, id string, args []string) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	defer r.trace(id)(&err)
	err = r.runRunc(ctx, append([]string{"delete"}, args...)...)
	if !r.known(id) {
		err = errors.Join(err, r.removeState(id))
	}
	return err
}

// State prints runc's state of the container with the bundle that the caller
// knows, not our copy of it.
func (r *Runtime) State(ctx context.Context, id string) error {
	state, err := r.state(ctx, id)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(state)
	return err
}

func (r *Runtime) state(ctx context.Context, id string) ([]byte, error) {
	cmd := r.runc(ctx, "state", id)
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		return nil, runError(r.Runc, err)
	}
	return stateOf(out, r.StateDir(id))
}

// running says whether runc knows the container as one whose supervisor runs,
// or may come to run.
func (r *Runtime) running(ctx context.Context, id string) bool {
	status := r.status(ctx, id)
	return status == specs.StateRunning || status == specs.StateCreated
}

// status is runc's word for the container's state; empty when it knows none.
func (r *Runtime) status(ctx context.Context, id string) specs.ContainerState {
	cmd := r.runc(ctx, "state", id)
	cmd.Stdout, cmd.Stderr = nil, nil
	out, err := cmd.Output()
	var state specs.State
	if err != nil || json.Unmarshal(out, &state) != nil {
		return ""
	}
	return state.Status
}
