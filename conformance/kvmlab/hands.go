package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
	"github.com/runcvm/runcvm/conformance/kvmlab/toolroot"
)

// Labs side by side: those of one processor are the ones that last, and two keep
// a small host's processors busy. See docs/testing-kvm.md.
const (
	maxLabs  = 2
	handSize = 4 // programs of one lab, at most
)

// runLab deals the job's programs out to labs and returns the reports as one, in
// the programs' order.
func (w *work) runLab(ctx context.Context, o options, job lab.Job) (lab.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, job.Limit, fmt.Errorf("the lab took longer than %s", job.Limit))
	defer cancel()
	tools, err := toolroot.Open(o.tools)
	if err != nil {
		return lab.Report{}, err
	}
	kernel, err := filepath.EvalSymlinks(filepath.Join(harness.Prefix(), "kernels/debian/latest"))
	if err != nil {
		return lab.Report{}, err
	}
	hands := deal(job.Programs)
	report := lab.Report{}
	for _, p := range job.Programs {
		report.Results = append(report.Results, lab.Result{Name: p.Name, Code: -1, Error: "the lab ended before it did"})
	}
	errs := make([]error, len(hands))
	slots := make(chan struct{}, maxLabs)
	var printing sync.Mutex
	var wait sync.WaitGroup
	for i, hand := range hands {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			m, err := w.newMachine(o.results, tools)
			if err != nil {
				errs[i] = err
				return
			}
			page := &pages{to: os.Stdout, turn: &printing}
			defer page.flush()
			if len(hands) > 1 {
				m.out = page
			}
			errs[i] = m.play(ctx, kernel, job, hand, report)
		})
	}
	wait.Wait()
	return report, errors.Join(errs...)
}

// play runs a hand of the job's programs and puts their results into the report.
func (m *machine) play(ctx context.Context, kernel string, job lab.Job, hand []int, report lab.Report) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	deadline, _ := ctx.Deadline()
	share := lab.Job{Env: job.Env, CPUs: job.CPUs, Limit: time.Until(deadline)}
	for _, n := range hand {
		share.Programs = append(share.Programs, job.Programs[n])
	}
	start := time.Now()
	part, err := m.run(ctx, kernel, share)
	for k, r := range part.Results {
		report.Results[hand[k]] = r
	}
	fmt.Fprintf(m.out, "==> %s took %s\n", filepath.Base(m.dir), time.Since(start).Round(time.Second))
	return err
}

// newMachine makes a lab's folders.
func (w *work) newMachine(results string, tools *toolroot.Tools) (*machine, error) {
	name := fmt.Sprintf("lab-%d", w.labs.Add(1))
	m := &machine{work: w, tools: tools, dir: w.path(name), results: filepath.Join(results, name), out: os.Stdout}
	return m, errors.Join(os.Mkdir(m.dir, 0o700), os.Mkdir(m.results, 0o755))
}

// deal shares programs out, by their place in the list: a hand is what one lab
// runs. The last ones, which take longest, go first.
func deal(programs []lab.Program) (hands [][]int) {
	var hand []int
	size := min(handSize, (len(programs)+maxLabs-1)/maxLabs)
	for n := range slices.Backward(programs) {
		if hand = append(hand, n); len(hand) == size {
			hands, hand = append(hands, hand), nil
		}
	}
	if len(hand) > 0 {
		hands = append(hands, hand)
	}
	return hands
}

// pages pass on the output of one of several labs, a program's at a time.
type pages struct {
	to   io.Writer
	turn *sync.Mutex // of all that write there
	held []byte
}

// Write implements io.Writer.
func (p *pages) Write(b []byte) (int, error) {
	p.held = append(p.held, b...)
	for _, last := range []string{"\nok  \t", "\nFAIL\t"} {
		if at := bytes.LastIndex(p.held, []byte(last)); at >= 0 && bytes.IndexByte(p.held[at+1:], '\n') >= 0 {
			p.flush()
		}
	}
	return len(b), nil
}

func (p *pages) flush() {
	p.turn.Lock()
	defer p.turn.Unlock()
	_, _ = p.to.Write(p.held)
	p.held = nil
}
