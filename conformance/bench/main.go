// Command bench measures RunCVM beside runc and beside a bare QEMU boot, in
// one run and interleaved, so that what else the machine does meets all of
// them alike. It needs root, Docker's programs and an installation.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/conformance/harness"
)

func main() {
	samples := flag.Int("samples", 7, "measurements of each figure; the median is shown")
	parts := flag.String("parts", strings.Join(usual, ","), "what is measured, also of network and filesystem, which take minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *samples, strings.Split(*parts, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	engine  *harness.Engine
	samples int

	probeBuilt bool // see withProbe
}

// usual are the parts that take a minute together.
var usual = []string{"starts", "stops", "execs", "creates", "sockets", "memory", "timeline"}

var all = map[string]func(*bench, context.Context) error{
	"starts": (*bench).starts, "stops": (*bench).stops, "execs": (*bench).execs, "creates": (*bench).creates, "sockets": (*bench).sockets,
	"memory": (*bench).memory, "timeline": (*bench).timeline, "network": (*bench).network, "filesystem": (*bench).filesystem,
}

func run(ctx context.Context, samples int, parts []string) (err error) {
	for _, part := range parts {
		if all[part] == nil {
			return fmt.Errorf("there is no part %q; those that are there: %s", part, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
	}
	for _, c := range []harness.Capability{harness.Root, harness.Docker, harness.Rootfs, harness.Install, harness.QEMU} {
		if err := harness.Has(c); err != nil {
			return err
		}
	}
	fmt.Println("==> Starting a Docker engine")
	engine, err := harness.Start(ctx, map[string]harness.Runtime{"runcvm": harness.Installed()})
	defer func() {
		if serr := engine.Stop(); err == nil {
			err = serr
		}
	}()
	if err != nil {
		return err
	}
	if err := engine.ImportImage(ctx, harness.RootfsArchive()); err != nil {
		return err
	}
	b := &bench{engine: engine, samples: samples}
	for _, part := range parts {
		if err := all[part](b, ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// docker runs a docker command that has to succeed.
func (b *bench) docker(ctx context.Context, args ...string) (string, error) {
	r, err := b.engine.Docker(ctx, nil, args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("docker %v: exit code %d: %s", args, r.Code, r.Stderr)
	}
	return r.Stdout, err
}

// idle starts a container that does nothing and returns how to remove it.
func (b *bench) idle(ctx context.Context, name, runtime string, options ...string) (func(), error) {
	args := append([]string{"run", "--detach", "--name", name, "--runtime", runtime}, options...)
	_, err := b.docker(ctx, append(args, harness.Image, "sleep", "infinity")...)
	return func() { _, _ = b.docker(context.WithoutCancel(ctx), "rm", "--force", name) }, err
}
