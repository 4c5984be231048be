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

// Runtimes are runc, and the RunCVM that is installed with its built-in profile
// alone, with what they write below dir.
func Runtimes(dir string) (reference, tested *Runtime, err error) {
	if reference, err = NewRuntime("runc", harness.Runtime{Path: "runc"}, dir); err != nil {
		return nil, nil, err
	}
	profiles := filepath.Join(dir, "profiles") // not there
	tested, err = NewRuntime("RunCVM", harness.Installed("--profiles-dir="+profiles), dir)
	return reference, tested, err
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
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, // ended with the programs that it has started and does not wait for
		// Containers without a mount namespace of their own make their mounts in the
		// program's, which would be the host's.
		Unshareflags: syscall.CLONE_NEWNS,
	}
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

// Comparison is what one program shows of two runtimes.
type Comparison struct {
	Program
	Differences []Difference
	Result      *Result // the tested runtime's
}

// Compare runs a program under both runtimes, for limit at most each.
func (s *Suite) Compare(ctx context.Context, program string, reference, tested *Runtime, limit time.Duration) (*Comparison, error) {
	var results [2]*Result
	for i, r := range []*Runtime{reference, tested} {
		var err error
		if results[i], err = s.Run(ctx, program, r, limit); err != nil {
			return nil, fmt.Errorf("%s under %s: %w", program, r.Name, err)
		}
	}
	return &Comparison{
		Program:     Program{Name: program, Reference: results[0].Tally(), Tested: results[1].Tally()},
		Differences: Compare(program, results[0], results[1]),
		Result:      results[1],
	}, nil
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

// suiteCgroups are those that programs of the suite make, or have made, and leave.
var suiteCgroups = []string{"testdir", "cgrouptest"}

// removeCgroups removes a control group and those below it, as far as they are
// empty.
func removeCgroups(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeCgroups(filepath.Join(dir, e.Name()))
		}
	}
	_ = syscall.Rmdir(dir)
}

// Close removes what the programs leave in the host's control groups.
func (s *Suite) Close() {
	for _, name := range suiteCgroups {
		for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
			found, _ := filepath.Glob(pattern + name)
			for _, dir := range found {
				removeCgroups(dir)
			}
		}
	}
}
