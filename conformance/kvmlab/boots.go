package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// errNoReport is the end of a lab whose kernel died.
var errNoReport = errors.New("it left no report")

// maxBoots bounds how often one lab boots for its share of a job.
const maxBoots = 4

// run has the lab run the job and returns its report. It leaves the consoles in
// the results.
//
// The lab's kernel may panic or hang through no fault of the tests: see
// docs/testing-kvm.md. What has not ended by then runs again in a new lab.
func (m *machine) run(ctx context.Context, kernel string, job lab.Job) (report lab.Report, err error) {
	start := time.Now()
	for boot := 1; ; boot++ {
		left := job
		left.Programs = job.Programs[len(report.Results):]
		left.Limit = job.Limit - time.Since(start) - bootLimit
		part, err := m.runOnce(ctx, lab.Config{KernelDir: kernel, Job: left})
		report.Results = append(report.Results, part.Results...)
		died := isDeath(err) || err == nil && !m.refused()
		if err != nil && !died {
			return report, fmt.Errorf("%w\n%s", err, m.lastWords())
		}
		if len(report.Results) == len(job.Programs) {
			return report, nil
		}
		if boot == maxBoots || !died {
			return report, fmt.Errorf("the lab ended before its job did\n%s", m.lastWords())
		}
		console := filepath.Join(m.results, fmt.Sprintf("console-%d.log", boot))
		if err := os.Rename(filepath.Join(m.results, consoleLog), console); err != nil {
			return report, err
		}
		fmt.Fprintf(m.out, "==> A lab died after %s (%s, %v); what is left runs in a new lab\n",
			time.Since(start).Round(time.Second), console, cmp.Or(err, errNoReport))
	}
}

// runOnce boots one lab for a job and returns the report that it leaves, which
// is short when the lab died.
func (m *machine) runOnce(ctx context.Context, config lab.Config) (report lab.Report, err error) {
	if err := m.writeInitramfs(config); err != nil {
		return report, err
	}
	if err := m.makeDisks(ctx); err != nil {
		return report, err
	}
	path := filepath.Join(m.results, lab.ReportFile)
	for _, file := range []string{path, filepath.Join(m.results, lab.AliveFile)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return report, err
		}
	}
	ended := m.boot(ctx, config)
	if ended != nil && !isDeath(ended) {
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

// refused tells whether the lab's PID 1 gave up and said why, which is no death
// of the kernel's.
func (m *machine) refused() bool {
	body, err := os.ReadFile(filepath.Join(m.results, consoleLog))
	return err == nil && strings.Contains(string(body), lab.ErrorPrefix)
}

// lastWords are the ends of the lab's console and of the programs' logs.
func (m *machine) lastWords() string {
	var b strings.Builder
	for _, log := range []struct {
		name  string
		lines int
	}{{consoleLog, 30}, {qemuLog, 30}, {lab.RootTag + logSuffix, 2}, {lab.ResultsTag + logSuffix, 2}} {
		path := filepath.Join(m.results, log.name)
		body, err := os.ReadFile(path)
		if err != nil || len(body) == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(body)), "\n")
		lines = lines[max(0, len(lines)-log.lines):]
		fmt.Fprintf(&b, "--- the end of %s:\n%s\n", path, strings.Join(lines, "\n"))
	}
	return b.String()
}

// Files in the results.
const (
	consoleLog = "console.log"
	qemuLog    = "qemu.log"
	logSuffix  = "-virtiofsd.log"
)
