package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

const workPattern = "runcvm-kvmlab-"

// work is the folder of one run and all that is made in it.
type work struct {
	dir  string
	labs atomic.Int32 // made so far
}

// newWork makes the folder, and removes those of earlier runs that were killed.
func newWork() (*work, error) {
	base := "/var/tmp"
	found, _ := filepath.Glob(filepath.Join(base, workPattern+"*"))
	for _, dir := range found {
		pid := strings.TrimPrefix(filepath.Base(dir), workPattern)
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			if err := os.RemoveAll(dir); err != nil {
				return nil, fmt.Errorf("left by an earlier run: %w", err)
			}
		}
	}
	w := &work{dir: filepath.Join(base, fmt.Sprintf("%s%d", workPattern, os.Getpid()))}
	return w, os.Mkdir(w.dir, 0o700)
}

func (w *work) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

func (w *work) scratch() string { return w.path("scratch") }

func (w *work) remove() {
	if err := os.RemoveAll(w.dir); err != nil {
		fmt.Fprintf(os.Stderr, "kvmlab: %v\n", err)
	}
}

// resetDir makes an empty folder.
func resetDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// build compiles the lab's PID 1 and the tests.
func (w *work) build(ctx context.Context, o options) ([]lab.Program, error) {
	if err := os.Mkdir(w.path("bin"), 0o755); err != nil {
		return nil, err
	}
	if err := goCommand(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", w.path("bin", "init"), "./conformance/kvmlab/init"); err != nil {
		return nil, err
	}
	if o.bench {
		return w.buildBench(ctx, o)
	}
	if len(o.command) > 0 {
		return nil, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var programs []lab.Program
	for _, pkg := range o.packages {
		binary := w.path("bin", strings.ReplaceAll(pkg, "/", "_")+".test")
		if err := goCommand(ctx, "test", "-c", "-trimpath", "-o", binary, "./"+pkg); err != nil {
			return nil, err
		}
		runs, err := w.runs(ctx, pkg, binary, o.run)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			argv := append([]string{binary}, run...)
			programs = append(programs, lab.Program{
				Name: module + "/" + pkg, Argv: argv, Dir: filepath.Join(dir, pkg), Test: true,
			})
		}
	}
	return programs, nil
}

// buildBench compiles what measures, and the user space of a bare boot.
func (w *work) buildBench(ctx context.Context, o options) ([]lab.Program, error) {
	program, poweroff := w.path("bin", "bench"), w.path("bin", "poweroff")
	for path, pkg := range map[string]string{program: "./conformance/kvmlab/bench", poweroff: "./conformance/bench/poweroff"} {
		if err := goCommand(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg); err != nil {
			return nil, err
		}
	}
	argv := append([]string{program, "-poweroff=" + poweroff}, o.command...)
	return []lab.Program{{Name: "bench", Argv: argv, Dir: w.dir}}, nil
}

// longest is the test that takes a quarter of the suite's time.
const longest = "TestExec"

// runs are the arguments of each run of a package's tests. The suite's tests,
// which take long, run one by one, so that a lab that dies has few to repeat;
// those on the Docker engine share it.
func (w *work) runs(ctx context.Context, pkg, binary, pattern string) ([][]string, error) {
	if pkg != suitePackage {
		var args []string
		if pattern != "" {
			args = append(args, "-test.run="+pattern)
		}
		if skip := skips[pkg]; skip != "" {
			args = append(args, "-test.skip="+skip)
		}
		return [][]string{args}, nil
	}
	if pattern == "" {
		pattern = "."
	}
	out, err := exec.CommandContext(ctx, binary, "-test.list="+pattern).Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of %s: %w", pkg, err)
	}
	var runs, last [][]string
	var engine []string
	for _, name := range strings.Fields(string(out)) {
		switch run := []string{"-test.run=^" + name + "$"}; {
		case strings.HasPrefix(name, "TestDocker"):
			engine = append(engine, name)
		case name == longest:
			last = append(last, run)
		default:
			runs = append(runs, run)
		}
	}
	if len(engine) > 0 {
		last = append(last, []string{"-test.run=^(" + strings.Join(engine, "|") + ")$"})
	}
	return append(runs, last...), nil
}

func goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	return quietly(cmd)
}

// quietly runs a command whose output only matters when it fails.
func quietly(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// fillScratch makes the folder that the tests find as their scratch folder: a
// root file system to boot, an image of a part of it, and room for temporary
// files.
func (w *work) fillScratch(ctx context.Context) error {
	for _, dir := range []string{"tmp", "rootfs"} {
		if err := os.MkdirAll(filepath.Join(w.scratch(), dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(w.scratch(), "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	root := filepath.Join(w.scratch(), "rootfs")
	err := quietly(exec.CommandContext(ctx, "tar", "-C", root, "--numeric-owner", "-xf", harness.RootfsArchive()))
	if err != nil {
		return err
	}
	if err := goCommand(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(root, lab.ProbePath), "./conformance/probe"); err != nil {
		return err
	}
	args := []string{"-C", root, "--numeric-owner", "-cf", filepath.Join(w.scratch(), lab.ImageFile)}
	for _, pattern := range imageFiles {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("%s has no %s: %w", harness.RootfsArchive(), pattern, err)
		}
		for _, path := range found {
			args = append(args, strings.TrimPrefix(path, root+"/"))
		}
	}
	return quietly(exec.CommandContext(ctx, "tar", args...))
}

// imageFiles are what the engine's image has of the root file system: a shell
// and a few programs. Importing all of it takes more than a minute in the lab.
var imageFiles = []string{
	"bin", "lib", "lib64", "etc/passwd", "etc/group", "proc", "tmp", // bin, lib and lib64 are links into usr
	"usr/bin/dash", "usr/bin/sh", "usr/bin/cat", "usr/bin/sleep", "usr/bin/true", "usr/bin/uname",
	"usr/lib64", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libc.so.6",
}

// hostVerdict asks the installed product whether this host's KVM is of use.
func (w *work) hostVerdict(ctx context.Context) (usable bool, reason string, err error) {
	bundle := w.path("verdict")
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		return false, "", err
	}
	if err := quietly(exec.CommandContext(ctx, harness.Binary(), "spec", "--bundle", bundle)); err != nil {
		return false, "", err
	}
	cmd := exec.CommandContext(ctx, harness.Binary(), "--prefix="+harness.Prefix(), "facts", "--bundle", bundle)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return false, "", fmt.Errorf("runcvm facts: %w", err)
	}
	var facts struct {
		KVM struct {
			Usable bool
			Reason string
		}
	}
	if err := json.Unmarshal(out, &facts); err != nil {
		return false, "", fmt.Errorf("runcvm facts: %w", err)
	}
	return facts.KVM.Usable, facts.KVM.Reason, nil
}
