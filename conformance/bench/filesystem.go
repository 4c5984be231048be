package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// workloadSamples is of how many measurements a workload's median is: some take
// many seconds.
const workloadSamples = 3

// cold forgets what the kernel of the one who runs it keeps of files.
const cold = "sync; echo 3 > /proc/sys/vm/drop_caches"

// workloads touch the root file system, each with its preparation.
var workloads = []struct{ name, prepare, script string }{
	{"write 256 MiB and sync", "rm -f /srv/w", "dd if=/dev/zero of=/srv/w bs=1M count=256 conv=fsync status=none"},
	{"read 256 MiB, the guest's cache cold", "test -s /srv/w || head -c 256M /dev/zero > /srv/w; " + cold, "cat /srv/w > /dev/null"},
	{"read 256 MiB, again", "cat /srv/w > /dev/null", "cat /srv/w > /dev/null"},
	{"2000 random reads of 4 KiB, cold", cold, "probe random /srv/w 2000 > /dev/null"},
	{"find /", "true", "find / -xdev > /dev/null"},
	{"tar of /usr", "true", "tar -C /usr -cf - . | cat > /dev/null"},
	{"20 times /bin/true", "true", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /bin/true; done"},
	{"create and remove 200 files", "mkdir -p /srv/d", "cd /srv/d; for i in $(seq 200); do echo x > $i; done; rm -f *"},
	{"sha256 of 16 MB: what the accelerator costs", "true", "head -c 16000000 /dev/zero | sha256sum > /dev/null"},
}

// caches are the policies of the root's cache, the default first.
var caches = []string{"always", "auto", "none"}

// filesystem measures workloads within the containers, by the container's own
// clock, for each policy of the cache. Under runc nothing is cold: its cache is the
// host's.
func (b *bench) filesystem(ctx context.Context) error {
	fmt.Printf("\nworkloads in a container, --memory 1g, medians of %d\n", workloadSamples)
	options, err := b.withProbe(ctx)
	if err != nil {
		return err
	}
	names, labels := []string{"fs-runc"}, []string{"runc"}
	options = append(options, "--memory", "1g")
	remove, err := b.idle(ctx, names[0], "runc", options...)
	if err != nil {
		return err
	}
	defer remove()
	for _, cache := range caches {
		name := "fs-runcvm-" + cache
		// Its kernel is its own: it may drop what that keeps.
		remove, err := b.idle(ctx, name, "runcvm", append(options, "--privileged", "--env", "RUNCVM_ROOTFS_CACHE="+cache)...)
		if err != nil {
			return err
		}
		defer remove()
		names, labels = append(names, name), append(labels, "runcvm, cache "+cache)
	}
	for _, w := range workloads {
		fmt.Println(w.name)
		var figures []figure
		for i, name := range names {
			prepare := w.prepare
			if i == 0 {
				prepare = strings.ReplaceAll(prepare, cold, "true")
			}
			figures = append(figures, figure{labels[i], func(ctx context.Context) (time.Duration, error) {
				return b.nanos(ctx, name, "sh", "-c", prepare+"; a=$(date +%s%N); "+w.script+"; echo $(($(date +%s%N) - a))")
			}})
		}
		m, err := medians(ctx, workloadSamples, figures...)
		if err != nil {
			return err
		}
		for i := range caches {
			ratio(labels[i+1]+" / runc", m[i+1], m[0])
		}
	}
	return nil
}

// withProbe are the options that give a container the tests' program, which is built
// for the first that has them.
func (b *bench) withProbe(ctx context.Context) ([]string, error) {
	if !b.probeBuilt {
		if err := harness.BuildProbe(ctx, "./conformance/probe", b.engine.Scratch); err != nil {
			return nil, err
		}
		b.probeBuilt = true
	}
	return []string{"--volume", filepath.Join(b.engine.Scratch, "probe") + ":/usr/local/bin/probe:ro"}, nil
}

// nanos runs a program in a container that writes how long it took, in nanoseconds,
// first.
func (b *bench) nanos(ctx context.Context, container string, command ...string) (time.Duration, error) {
	out, err := b.docker(ctx, append([]string{"exec", container}, command...)...)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(out), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(ns), err
}
