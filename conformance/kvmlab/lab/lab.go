// Package lab is what both sides of the lab share: what to run, and how it
// went.
package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Where things are in the lab.
const (
	ConfigFile = "/lab.json"           // in the initramfs: a Config
	ScratchDir = "/kvmlab/scratch"     // ext4: what must not lie on an overlay
	ResultsDir = "/kvmlab/results"     // the host's folder for result files
	ReportFile = "report.json"         // in ResultsDir: a Report
	AliveFile  = "alive"               // in ResultsDir: written each AlivePeriod
	RootTag    = "root"                // virtiofs: the host's root
	ResultsTag = "results"             // virtiofs: ResultsDir
	PortName   = "runcvm.lab.0"        // virtio-serial: the output of the tests
	ScratchDev = "/dev/vda"            // virtio-blk: ScratchDir
	PassedDisk = "passed"              // virtio-blk, its serial number: of no use to the lab itself
	PassedMAC  = "52:54:00:70:61:73"   // virtio-net, likewise
	ImageFile  = "image.tar"           // in ScratchDir: a small image for an engine
	ProbePath  = "usr/local/bin/probe" // in ScratchDir's rootfs: conformance/probe
	ScratchVar = "RUNCVM_KVM_SCRATCH"  // see package suite
	ResultsVar = "RUNCVM_KVM_RESULTS"
	AccelVar   = "RUNCVM_KVM_ACCEL"
)

// ErrorPrefix begins what the lab's PID 1 says on the console when it gives up.
const ErrorPrefix = "lab: "

// AlivePeriod is how often the lab shows that it lives.
const AlivePeriod = 5 * time.Second

// Config tells the lab's PID 1 what to do.
type Config struct {
	// KernelDir is the folder of the booted kernel in the installation, which
	// has lib/modules below it.
	KernelDir string
	Job       Job
}

// Job is a list of programs to run, one after another.
type Job struct {
	Env      []string // all of the environment
	Programs []Program
	Limit    time.Duration // for all programs together
	CPUs     int           // of a lab
}

// Program is one program of a Job.
type Program struct {
	Name string // the import path of a test's package
	Argv []string
	Dir  string
	// Test marks a test binary, which gets to tell what hangs before the job's
	// limit is reached.
	Test bool
}

// Report is how a Job went.
type Report struct {
	Results []Result
}

// Result is how a Program went.
type Result struct {
	Name    string
	Code    int // exit code; -1 when it did not run or was killed
	Seconds float64
	Error   string // why it did not run, or how it was killed
}

// Failed says what did not go well, or nil.
func (r Report) Failed() error {
	var errs []error
	for _, p := range r.Results {
		if p.Code != 0 {
			errs = append(errs, fmt.Errorf("%s: exit code %d %s", p.Name, p.Code, p.Error))
		}
	}
	return errors.Join(errs...)
}

// Write writes the report to ReportFile in dir, whole or not at all.
func (r Report) Write(dir string) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, ReportFile)
	if err := os.WriteFile(path+".new", append(body, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Run runs the programs of a job with their output going to out, as "go test"
// prints it, and writes the report to the folder results after each of them. A
// program that fails does not keep the others from running; the limit and the
// end of ctx do.
func (j Job) Run(ctx context.Context, out *os.File, results string) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, j.Limit)
	defer cancel()
	var report Report
	for _, p := range j.Programs {
		r := p.run(ctx, j.Env, out)
		if r.Error != "" {
			_, _ = io.WriteString(out, p.Name+": "+r.Error+"\n")
		}
		if p.Test {
			word := "ok  "
			if r.Code != 0 {
				word = "FAIL"
			}
			_, _ = io.WriteString(out, word+"\t"+p.Name+"\t"+strconv.FormatFloat(r.Seconds, 'f', 3, 64)+"s\n")
		}
		report.Results = append(report.Results, r)
		if err := report.Write(results); err != nil {
			return report, err
		}
	}
	return report, nil
}

// lastWordsTime is what is left of a job's limit when a test binary is to say
// which test hangs.
const lastWordsTime = 10 * time.Second

func (p Program) run(ctx context.Context, env []string, out *os.File) Result {
	argv := p.Argv
	if deadline, ok := ctx.Deadline(); ok && p.Test {
		left := max(time.Until(deadline)-lastWordsTime, time.Second)
		argv = append(slices.Clone(argv), "-test.v", "-test.timeout="+left.String())
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A file, not a pipe: nobody waits for those that hold it open.
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Dir, env, out, out
	start := time.Now()
	err := cmd.Run()
	r := Result{Name: p.Name, Code: -1, Seconds: time.Since(start).Seconds()}
	if cmd.ProcessState != nil {
		r.Code = cmd.ProcessState.ExitCode()
	}
	if r.Code < 0 && err != nil {
		r.Error = err.Error()
		if ctx.Err() != nil {
			r.Error = fmt.Sprintf("killed after %s: the time was up", time.Since(start).Round(time.Second))
		}
	}
	return r
}
