package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
	"github.com/runcvm/runcvm/conformance/kvmlab/toolroot"
)

// maxBoots bounds how often the lab boots for one job.
const maxBoots = 8

// runLab has the lab run the job with the output going to standard output, and
// returns its report. It leaves the consoles in the results.
//
// The lab's kernel may panic or hang through no fault of the tests: it was seen
// to take an interrupt right behind VMRUN, with its guest's registers still
// loaded, which a processor holds back. What has not ended by then runs again in
// a new lab.
func (w *work) runLab(ctx context.Context, o options, job lab.Job) (report lab.Report, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("the lab took longer than %s", o.limit))
	defer cancel()
	tools, err := toolroot.Open(harness.Prefix())
	if err != nil {
		return report, err
	}
	kernel, err := filepath.EvalSymlinks(filepath.Join(harness.Prefix(), "kernels/debian/latest"))
	if err != nil {
		return report, err
	}
	start := time.Now()
	for boot := 1; ; boot++ {
		left := job
		left.Programs = job.Programs[len(report.Results):]
		left.Limit = o.limit - time.Since(start) - bootLimit
		part, err := w.runOnce(ctx, tools, o.results, lab.Config{KernelDir: kernel, Job: left})
		report.Results = append(report.Results, part.Results...)
		died := errors.Is(err, errHung) || err == nil && panicked(o.results)
		if err != nil && !died {
			return report, fmt.Errorf("%w\n%s", err, lastWords(o.results))
		}
		if len(report.Results) == len(job.Programs) {
			fmt.Printf("==> The lab took %s\n", time.Since(start).Round(time.Second))
			return report, nil
		}
		if boot == maxBoots || !died {
			return report, fmt.Errorf("the lab ended before its job did\n%s", lastWords(o.results))
		}
		console := filepath.Join(o.results, fmt.Sprintf("console-%d.log", boot))
		if err := os.Rename(filepath.Join(o.results, consoleLog), console); err != nil {
			return report, err
		}
		fmt.Printf("==> The lab died after %s (%s); what is left runs in a new lab\n",
			time.Since(start).Round(time.Second), console)
	}
}

// runOnce boots one lab for a job and returns the report that it leaves, which
// is short when the lab died.
func (w *work) runOnce(ctx context.Context, tools *toolroot.Tools, results string, config lab.Config) (report lab.Report, err error) {
	if err := w.writeInitramfs(config); err != nil {
		return report, err
	}
	if err := w.makeDisk(ctx, tools); err != nil {
		return report, err
	}
	path := filepath.Join(results, lab.ReportFile)
	for _, file := range []string{path, filepath.Join(results, lab.AliveFile)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return report, err
		}
	}
	ended := w.boot(ctx, tools, config.KernelDir, results)
	if ended != nil && !errors.Is(ended, errHung) {
		return report, ended
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return report, ended
	}
	if err != nil {
		return report, err
	}
	return report, errors.Join(json.Unmarshal(body, &report), ended)
}

// panicked tells whether the lab's kernel did.
func panicked(results string) bool {
	body, err := os.ReadFile(filepath.Join(results, consoleLog))
	return err == nil && strings.Contains(string(body), "Kernel panic - not syncing")
}

// lastWords are the ends of the lab's console and of the programs' logs.
func lastWords(results string) string {
	var b strings.Builder
	for _, log := range []struct {
		name  string
		lines int
	}{{consoleLog, 30}, {qemuLog, 30}, {lab.RootTag + logSuffix, 2}, {lab.ResultsTag + logSuffix, 2}} {
		body, err := os.ReadFile(filepath.Join(results, log.name))
		if err != nil || len(body) == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(body)), "\n")
		lines = lines[max(0, len(lines)-log.lines):]
		fmt.Fprintf(&b, "--- the end of %s:\n%s\n", filepath.Join(results, log.name), strings.Join(lines, "\n"))
	}
	return b.String()
}

// Files in the results.
const (
	consoleLog = "console.log"
	qemuLog    = "qemu.log"
	logSuffix  = "-virtiofsd.log"
)
