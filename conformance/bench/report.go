package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// memory shows what an idle virtual machine of 512 MiB takes of the host, by
// process: its proportional set size (proc(5), smaps_rollup).
func (b *bench) memory(ctx context.Context) error {
	fmt.Println("\nmemory of an idle container, --memory 512m")
	remove, err := b.idle(ctx, "memory", "runcvm", "--memory", "512m")
	if err != nil {
		return err
	}
	defer remove()
	if _, err := b.docker(ctx, "exec", "memory", "true"); err != nil {
		return err
	}
	out, err := b.docker(ctx, "inspect", "--format", "{{.State.Pid}}", "memory")
	if err != nil {
		return err
	}
	pids, err := tree(strings.TrimSpace(out))
	if err != nil {
		return err
	}
	total := 0
	for _, pid := range pids {
		name, kib, err := pss(pid)
		if err != nil {
			return err
		}
		total += kib
		fmt.Printf("  %-44s %7.1f MiB\n", name, float64(kib)/1024)
	}
	fmt.Printf("  %-44s %7.1f MiB\n", "in all", float64(total)/1024)
	return nil
}

// tree lists a process and those below it.
func tree(pid string) ([]string, error) {
	pids := []string{pid}
	lists, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		body, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		for _, child := range strings.Fields(string(body)) {
			below, err := tree(child)
			if err != nil {
				return nil, err
			}
			pids = append(pids, below...)
		}
	}
	return pids, nil
}

// pss returns a process's name and proportional set size in KiB.
func pss(pid string) (name string, kib int, err error) {
	comm, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return "", 0, err
	}
	rollup, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return "", 0, err
	}
	for line := range strings.Lines(string(rollup)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
			kib, err = strconv.Atoi(fields[1])
			return strings.TrimSpace(string(comm)), kib, err
		}
	}
	return "", 0, fmt.Errorf("process %s has no Pss", pid)
}

// timeline shows when each milestone of a boot was reached, as medians since
// the command's start.
func (b *bench) timeline(ctx context.Context) error {
	fmt.Printf("\nboot timeline of runcvm run, medians of %d\n", b.samples)
	dir, err := newBundle(ctx, filepath.Join(b.engine.Scratch, "timeline"), "true")
	if err != nil {
		return err
	}
	reached := map[string][]time.Duration{}
	var order []string
	note := func(name string, at time.Duration) {
		if len(reached[name]) == 0 {
			order = append(order, name)
		}
		reached[name] = append(reached[name], at)
	}
	for i := range b.samples {
		start := time.Now()
		moments, err := timelineOf(ctx, dir, fmt.Sprintf("timeline-%d", i))
		if err != nil {
			return err
		}
		for _, m := range moments {
			note(m.Name, m.At.Sub(start))
		}
		note("command returned", time.Since(start))
	}
	for _, name := range order {
		slices.Sort(reached[name])
	}
	median := func(name string) time.Duration { return reached[name][len(reached[name])/2] }
	slices.SortStableFunc(order, func(a, b string) int { return int(median(a) - median(b)) })
	for _, name := range order {
		fmt.Printf("  %-44s %9s\n", name, ms(median(name)))
	}
	return nil
}

type moment struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

func timelineOf(ctx context.Context, bundle, id string) ([]moment, error) {
	file := filepath.Join(bundle, "timeline.json")
	cmd := harness.Installed().Command(ctx, "--root", filepath.Join(bundle, "root"),
		"run", "--timeline", file, "--bundle", bundle, id)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("runcvm run: %w: %s", err, out)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var moments []moment
	if err := json.Unmarshal(body, &moments); err != nil {
		return nil, err
	}
	if len(moments) == 0 {
		return nil, errors.New("the timeline is empty")
	}
	return moments, nil
}
