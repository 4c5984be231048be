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

// workloads touch the root file system, each with its preparation.
var workloads = []struct{ name, prepare, script string }{
	{"write 256 MiB and sync", "rm -f /srv/w", "dd if=/dev/zero of=/srv/w bs=1M count=256 conv=fsync status=none"},
	{"read 256 MiB, again", "test -s /srv/w || head -c 256M /dev/zero > /srv/w; cat /srv/w > /dev/null", "cat /srv/w > /dev/null"},
	{"find /", "true", "find / -xdev > /dev/null"},
	{"tar of /usr", "true", "tar -C /usr -cf - . | cat > /dev/null"},
	{"20 times /bin/true", "true", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /bin/true; done"},
	{"create and remove 200 files", "mkdir -p /srv/d", "cd /srv/d; for i in $(seq 200); do echo x > $i; done; rm -f *"},
	{"sha256 of 16 MB: what the accelerator costs", "true", "head -c 16000000 /dev/zero | sha256sum > /dev/null"},
}

// filesystem measures workloads within the containers, by the container's own
// clock.
func (b *bench) filesystem(ctx context.Context) error {
	fmt.Println("\nworkloads in a container, --memory 1g, medians of 3")
	for _, runtime := range []string{"runc", "runcvm"} {
		remove, err := b.idle(ctx, "fs-"+runtime, runtime, "--memory", "1g")
		if err != nil {
			return err
		}
		defer remove()
	}
	for _, w := range workloads {
		inside := func(name string) func(context.Context) (time.Duration, error) {
			return func(ctx context.Context) (time.Duration, error) {
				out, err := b.docker(ctx, "exec", name, "sh", "-c",
					w.prepare+"; a=$(date +%s%N); "+w.script+"; echo $(($(date +%s%N) - a))")
				if err != nil {
					return 0, err
				}
				ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
				return time.Duration(ns), err
			}
		}
		m, err := medians(ctx, 3, figure{w.name + ", runc", inside("fs-runc")}, figure{w.name + ", runcvm", inside("fs-runcvm")})
		if err != nil {
			return err
		}
		ratio("runcvm / runc", m[1], m[0])
	}
	return nil
}
