// Command validate runs the validation suite of the OCI runtime-tools under runc
// and under the installed RunCVM, in turn, and compares. It needs root, runc and
// an installation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/validation"
)

// dir is this suite's folder in the repository.
const dir = "conformance/validation"

func main() {
	var o options
	flag.StringVar(&o.pattern, "run", all, "run the programs whose names match one of the `GLOBS`, separated by commas")
	flag.DurationVar(&o.limit, "timeout", 5*time.Minute, "limit of one program under one runtime")
	flag.BoolVar(&o.update, "update", false, "keep the figures of a whole run, for docs/conformance.md")
	flag.BoolVar(&o.verbose, "v", false, "show all that a program said of what differs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "validation:", err)
		os.Exit(1)
	}
}

// all is the glob of every program.
const all = "*"

type options struct {
	pattern         string
	limit           time.Duration
	update, verbose bool
}

// errDiffers ends a run whose differences have been shown.
var errDiffers = errors.New("the runtimes differ otherwise than " + dir + "/known.yaml says")

func run(ctx context.Context, o options) (err error) {
	if o.update && o.pattern != all {
		return errors.New("-update keeps the figures of a whole run: leave out -run")
	}
	for _, c := range []harness.Capability{harness.Root, harness.Runc, harness.Install, harness.QEMU} {
		if err := harness.Has(c); err != nil {
			return err
		}
	}
	known, err := validation.LoadKnown()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(harness.Scratch(), 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(harness.Scratch()), os.RemoveAll(harness.RunDir())) }()
	r := &runner{options: o}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	defer r.suite.Close()
	if err := r.runAll(ctx); err != nil {
		return err
	}
	reference, tested := r.figures.Totals()
	fmt.Printf("\n%-36s %s\n%-36s %s\n", r.figures.Reference, reference, r.figures.Tested, tested)
	unknown, stale := validation.Judge(r.differences, known, r.ran)
	for _, d := range unknown {
		fmt.Printf("differs   %s: %s\n          runc: %s; RunCVM: %s\n", d.Program, d.Assertion, d.Reference, d.Tested)
	}
	for _, k := range stale {
		fmt.Printf("mended    %s: %s\n          holds now: take it out of known.yaml\n", k.Program, k.Assertion)
	}
	fmt.Printf("%d differences, %d of them stated; %d statements do not hold\n", len(r.differences), len(r.differences)-len(unknown), len(stale))
	if o.update {
		if err := r.keep(); err != nil {
			return err
		}
	}
	if len(unknown)+len(stale) > 0 {
		return errDiffers
	}
	return nil
}

// runner runs the suite.
type runner struct {
	options
	suite             *validation.Suite
	reference, tested *validation.Runtime

	figures     validation.Figures
	differences []validation.Difference
}

func (r *runner) prepare(ctx context.Context) error {
	fmt.Println("==> Building the suite (a minute or two the first time)")
	var err error
	if r.suite, err = validation.Build(ctx, filepath.Join(dir, "suite"), harness.Scratch(), r.ran); err != nil {
		return err
	}
	if r.reference, r.tested, err = validation.Runtimes(harness.Scratch()); err != nil {
		return err
	}
	if r.figures.Reference, err = r.reference.Version(ctx); err != nil {
		return err
	}
	r.figures.Reference = strings.Replace(r.figures.Reference, " version", "", 1)
	r.figures.Tested = r.tested.Name
	r.figures.Host = "control groups of version 1"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		r.figures.Host = "control groups of version 2"
	}
	return nil
}

// runAll runs each program under both runtimes and notes what differs.
func (r *runner) runAll(ctx context.Context) error {
	fmt.Printf("%-34s %-34s %s\n", "program", "runc", "RunCVM")
	for _, program := range r.suite.Programs {
		c, err := r.suite.Compare(ctx, program, r.reference, r.tested, r.limit)
		if err != nil {
			return err
		}
		fmt.Printf("%-34s %-34s %s", program, c.Reference, c.Tested)
		if len(c.Differences) > 0 {
			fmt.Printf("  (%d differ)", len(c.Differences))
		}
		fmt.Println()
		if r.verbose && len(c.Differences) > 0 {
			explain(c)
		}
		r.figures.Programs = append(r.figures.Programs, c.Program)
		r.differences = append(r.differences, c.Differences...)
	}
	return nil
}

// explained is how many differences of a program are shown: one that came to
// nothing differs in all that it would have looked at.
const explained = 20

// explain prints what a program said of the differences.
func explain(c *validation.Comparison) {
	for _, d := range c.Differences[:min(len(c.Differences), explained)] {
		fmt.Printf("    %s: runc %s; RunCVM %s\n", d.Assertion, d.Reference, d.Tested)
	}
	if n := len(c.Differences) - explained; n > 0 {
		fmt.Printf("    and %d more\n", n)
	}
	fmt.Print(c.Result.Failures())
}

// ran says whether a program is one of those that are run.
func (r *runner) ran(program string) bool {
	for pattern := range strings.SplitSeq(r.pattern, ",") {
		if ok, err := path.Match(pattern, program); err == nil && ok {
			return true
		}
	}
	return false
}

// keep writes the figures.
func (r *runner) keep() error {
	body, err := yaml.Marshal(&r.figures)
	if err != nil {
		return err
	}
	head := "# Written by `make validation UPDATE=-update`, for docs/conformance.md (make docs).\n"
	return os.WriteFile(filepath.Join(dir, "figures.yaml"), append([]byte(head), body...), 0o644)
}
