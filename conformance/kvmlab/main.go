// Command kvmlab runs the tests that need KVM. Where the host's KVM works, by
// the product's own probe, they run on the host; else in the lab: a virtual
// machine under TCG, whose processor has AMD's virtualisation with nested
// paging. The lab's root is the host's, read-only, below an overlay in memory.
//
// Usage: kvmlab [flags] [COMMAND [ARGUMENT...]]
//
//	kvmlab -bench [flags] [-- BENCH-FLAGS]
//
// With a command, that runs instead of the tests, always in the lab, and its
// exit code is this program's. With -bench it measures: see package bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// bootLimit is what the lab itself has for its start and its end, on a busy
// host, of the time for all.
const bootLimit = 45 * time.Second

// module is the path of this module.
const module = "github.com/runcvm/runcvm"

// suitePackage drives the installed product on KVM.
const suitePackage = "conformance/kvmlab/suite"

// defaultPackages are tested on KVM: what looks at the host, and what needs
// devices or kernel features.
var defaultPackages = []string{"runtime/facts", "runtime/net", "runtime/vsock", "guest/agent", "guest/initd", suitePackage}

// skips are tests that say nothing of KVM and that an emulated machine is too
// slow for: this one copies for more than a minute.
var skips = map[string]string{"runtime/net": "^TestBulkTransfer$"}

// options are the command line's.
type options struct {
	packages []string
	run      string
	limit    time.Duration
	cpus     int    // of a lab
	tools    string // prefix of the installation whose QEMU runs the lab
	results  string // absolute
	bench    bool
	command  []string // or, with bench, its arguments
}

func init() {
	// The kernel ends the children when the thread that started them ends: that
	// has to be the one which lives as long as this process.
	runtime.LockOSThread()
}

func main() {
	o, err := parseOptions()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		err = run(ctx, o)
		stop()
	}
	var failed *commandFailed
	if errors.As(err, &failed) {
		os.Exit(failed.code)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kvmlab: %v\n", err)
		os.Exit(1)
	}
}

// commandFailed is the end of a command that the user gave.
type commandFailed struct{ code int }

func (e *commandFailed) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func parseOptions() (options, error) {
	packages := flag.String("packages", strings.Join(defaultPackages, ","), "packages to test, by their folders")
	var o options
	flag.StringVar(&o.run, "run", "", "run only the tests that match this `regexp`")
	flag.DurationVar(&o.limit, "timeout", 20*time.Minute, "for the whole lab")
	flag.IntVar(&o.cpus, "cpus", 1, "processors of a lab: with more than one it is likely to die")
	flag.StringVar(&o.tools, "tools", harness.Prefix(), "`PREFIX` of the installation whose QEMU and virtiofsd run the lab")
	flag.StringVar(&o.results, "results", "build/kvmlab", "`DIR` for the console, logs and result files")
	flag.BoolVar(&o.bench, "bench", false, "measure instead of testing")
	flag.Parse()
	if o.limit < 2*bootLimit {
		return o, fmt.Errorf("-timeout %s: the lab needs at least %s", o.limit, 2*bootLimit)
	}
	o.packages, o.command = strings.Split(*packages, ","), flag.Args()
	var err error
	o.results, err = filepath.Abs(o.results)
	return o, err
}

// run decides where the tests run and runs them.
func run(ctx context.Context, o options) error {
	for _, c := range []harness.Capability{harness.Root, harness.Install, harness.QEMU, harness.Rootfs} {
		if err := harness.Has(c); err != nil {
			return fmt.Errorf("the KVM tests need %q: %w", c, err)
		}
	}
	w, err := newWork()
	if err != nil {
		return err
	}
	defer w.remove()
	if err := resetDir(o.results); err != nil {
		return err
	}
	fmt.Println("==> Building the programs")
	programs, err := w.build(ctx, o)
	if err != nil {
		return err
	}
	if err := w.fillScratch(ctx); err != nil {
		return err
	}
	if len(o.command) > 0 && !o.bench {
		return w.runCommand(ctx, o)
	}
	usable, reason, err := w.hostVerdict(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("==> The host's KVM: %s\n", reason)
	if usable {
		fmt.Println("==> Running on the host")
		job := lab.Job{Env: environment("kvm", w.scratch(), o.results), Programs: programs, Limit: o.limit}
		return runHere(ctx, job, o.results)
	}
	if err := w.checkOutside(ctx, o, programs); err != nil {
		return err
	}
	fmt.Println("==> Running in the lab, which has KVM")
	job := lab.Job{Env: environment("kvm", lab.ScratchDir, lab.ResultsDir), Programs: programs, Limit: o.limit, CPUs: o.cpus}
	start := time.Now()
	report, err := w.runLab(ctx, o, job)
	if err != nil {
		return errors.Join(err, report.Failed())
	}
	o.limit -= time.Since(start)
	if report, err = w.repeatFailed(ctx, o, job, report); err != nil {
		return err
	}
	return report.Failed()
}

// repeatFailed runs once more, in a new lab, what failed in the suite, and says
// so: what makes the lab's kernel panic now and then also makes a machine in it
// hang or die. A test that fails twice has failed, and so has one for which no
// time is left.
func (w *work) repeatFailed(ctx context.Context, o options, job lab.Job, report lab.Report) (lab.Report, error) {
	again := job
	again.Programs = nil
	var places []int
	for i, p := range job.Programs {
		if report.Results[i].Code != 0 && p.Name == module+"/"+suitePackage {
			again.Programs, places = append(again.Programs, p), append(places, i)
		}
	}
	if len(places) == 0 || o.limit < 2*bootLimit {
		return report, nil
	}
	fmt.Printf("==> %d runs of the suite failed, which the lab's emulation may have caused: once more, in a new lab\n", len(places))
	for _, p := range again.Programs {
		fmt.Printf("    %s\n", strings.Join(p.Argv[1:], " "))
	}
	again.Limit = o.limit
	second, err := w.runLab(ctx, o, again)
	for i, r := range second.Results {
		report.Results[places[i]] = r
	}
	return report, err
}

// checkOutside has the suite's test of the verdict look at this host, where it
// must not be KVM.
func (w *work) checkOutside(ctx context.Context, o options, programs []lab.Program) error {
	for _, p := range programs {
		if p.Name == module+"/"+suitePackage {
			p.Argv = []string{p.Argv[0], "-test.run=^TestVerdict$"}
			job := lab.Job{Env: environment("tcg", w.scratch(), o.results), Programs: []lab.Program{p}, Limit: time.Minute}
			return runHere(ctx, job, o.results)
		}
	}
	return nil
}

// runHere runs a job on this host.
func runHere(ctx context.Context, job lab.Job, results string) error {
	report, err := job.Run(ctx, os.Stdout, results)
	return errors.Join(err, report.Failed())
}

// runCommand runs the user's command in the lab.
func (w *work) runCommand(ctx context.Context, o options) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	job := lab.Job{
		Env:      environment("kvm", lab.ScratchDir, lab.ResultsDir),
		Programs: []lab.Program{{Name: o.command[0], Argv: o.command, Dir: dir}},
		Limit:    o.limit,
		CPUs:     o.cpus,
	}
	report, err := w.runLab(ctx, o, job)
	if err != nil {
		return err
	}
	if r := report.Results[0]; r.Code != 0 {
		return &commandFailed{code: max(r.Code, 1)}
	}
	return nil
}

// environment is the programs' environment.
func environment(accel, scratch, results string) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"TMPDIR=" + filepath.Join(scratch, "tmp"),
		"RUNCVM_PREFIX=" + harness.Prefix(),
		"RUNCVM_ROOTFS=" + harness.RootfsArchive(),
		"RUNCVM_REQUIRE=all",
		"RUNCVM_CONFORMANCE_SCRATCH=" + scratch,
		lab.AccelVar + "=" + accel,
		lab.ScratchVar + "=" + scratch,
		lab.ResultsVar + "=" + results,
	}
}
