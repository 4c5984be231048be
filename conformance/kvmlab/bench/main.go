// Command bench measures on KVM, in one run, what the product's choices buy:
// each pair of choices in turn, so that what else the machine does meets both
// alike. Command kvmlab runs it, on the host or in the lab, and it prints one
// table of medians. In the lab only the ratios mean something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// bench is what the measurements share.
type bench struct {
	samples  int
	accel    string // kvm or tcg
	mib      int    // of a stream
	poweroff string // the program of a bare boot
	scratch  string // its rootfs is what machines run
	dir      string // of this run
	wires    int    // made so far
}

func main() {
	b := &bench{scratch: os.Getenv(lab.ScratchVar)}
	flag.IntVar(&b.samples, "samples", 5, "measurements of each figure")
	flag.IntVar(&b.mib, "mib", 64, "size of a stream in MiB")
	flag.StringVar(&b.accel, "accel", "kvm", "the machines' accelerator, kvm or tcg")
	flag.StringVar(&b.poweroff, "poweroff", "", "`PATH` of the program of a bare boot")
	only := flag.String("run", ".", "measure only the groups that match this `regexp`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// group is a part of the table.
type group struct {
	name    string
	measure func(context.Context) ([]row, error)
}

// run measures and prints the table.
func (b *bench) run(ctx context.Context, only string) (err error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir), os.RemoveAll(harness.RunDir())) }()
	groups := []group{
		{"agent", b.transports}, {"network", b.networks}, {"halt", b.halts}, {"boot", b.boots},
	}
	var rows []row
	for _, g := range groups {
		if !pattern.MatchString(g.name) {
			continue
		}
		fmt.Printf("==> Measuring: %s\n", g.name)
		measured, err := g.measure(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		rows = append(rows, measured...)
	}
	fmt.Printf("\nmedians of %d, streams of %d MiB, %s\n", b.samples, b.mib, b.accel)
	return writeTable(os.Stdout, rows)
}
