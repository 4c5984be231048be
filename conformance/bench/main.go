// Command bench measures RunCVM beside runc and beside a bare QEMU boot, in
// one run and interleaved, so that what else the machine does meets all of
// them alike. It needs root, Docker's programs and an installation.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/runcvm/runcvm/conformance/harness"
)

func main() {
	samples := flag.Int("samples", 7, "measurements of each figure; the median is shown")
	data := flag.Bool("data", false, "measure file systems and networks instead, which takes minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *samples, *data); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	engine  *harness.Engine
	samples int
}

func run(ctx context.Context, samples int, data bool) (err error) {
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
	steps := []func(context.Context) error{b.starts, b.execs, b.creates, b.sockets, b.memory, b.timeline}
	if data {
		steps = []func(context.Context) error{b.network, b.filesystem}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
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
