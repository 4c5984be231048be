package validation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// Runtime is an OCI runtime as the suite calls it: by a path alone.
type Runtime struct {
	Name string
	path string // a script that adds the options
	root string // its containers' states
}

// NewRuntime makes the script that calls a runtime, in dir. Its containers are
// kept apart from others of the host.
func NewRuntime(name string, r harness.Runtime, dir string) (*Runtime, error) {
	made := &Runtime{Name: name, path: filepath.Join(dir, "runtime-"+name), root: filepath.Join(dir, "root-"+name)}
	var script strings.Builder
	fmt.Fprintf(&script, "#!/bin/sh\nexec %s", r.Path)
	for _, a := range append(r.Args, "--root="+made.root) {
		fmt.Fprintf(&script, " '%s'", a)
	}
	script.WriteString(" \"$@\"\n")
	return made, os.WriteFile(made.path, []byte(script.String()), 0o755)
}

// Version is the first line of what the runtime says of itself.
func (r *Runtime) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, r.path, "--version").Output()
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// Run runs a program of the suite under a runtime, for limit at most. What the
// program leaves behind is removed.
func (s *Suite) Run(ctx context.Context, program string, r *Runtime, limit time.Duration) (result *Result, err error) {
	tmp, err := os.MkdirTemp(s.work, "tmp")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.clear(context.WithoutCancel(ctx)), os.RemoveAll(tmp)) }()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program))
	cmd.Dir = s.work
	cmd.Env = append(cmd.Environ(), "RUNTIME="+r.path, "TMPDIR="+tmp)
	// With the programs that it has started and does not wait for.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	result = &Result{Stderr: stderr.String()}
	result.Points, result.Complaints = parseTAP(stdout.String())
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		result.Ended = fmt.Sprintf("killed after %s", limit)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &exit):
		result.Ended = exit.String()
	case err != nil:
		return nil, err
	}
	return result, nil
}

// clear deletes the containers that a program has left.
func (r *Runtime) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	left, err := os.ReadDir(r.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, c := range left {
		out, err := exec.CommandContext(ctx, r.path, "delete", "--force", c.Name()).CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("delete the container %s that a program has left: %w: %s", c.Name(), err, bytes.TrimSpace(out)))
		}
	}
	return errors.Join(append(errs, err)...)
}
