package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// starts compares a container's whole life on runc and on runcvm, and a bare
// boot of the same kernel.
func (b *bench) starts(ctx context.Context) error {
	fmt.Printf("\ndocker run --rm %s true, medians of %d\n", harness.Image, b.samples)
	run := func(runtime string) func(context.Context) (time.Duration, error) {
		return timed(func(ctx context.Context) error {
			_, err := b.docker(ctx, "run", "--rm", "--runtime", runtime, harness.Image, "true")
			return err
		})
	}
	y, err := newYardstick(ctx, filepath.Join(b.engine.Scratch, "yardstick"))
	if err != nil {
		return err
	}
	m, err := medians(ctx, b.samples, figure{"runc", run("runc")}, figure{"runcvm", run("runcvm")},
		figure{"bare QEMU, same kernel, boot to power-off", timed(y.boot)})
	if err != nil {
		return err
	}
	ratio("runcvm / bare QEMU", m[1], m[2])
	ratio("runcvm / runc", m[1], m[0])
	return nil
}

// execs compares the latency of an exec.
func (b *bench) execs(ctx context.Context) error {
	fmt.Printf("\ndocker exec true, medians of %d\n", b.samples)
	exec := func(name string) func(context.Context) (time.Duration, error) {
		return timed(func(ctx context.Context) error {
			_, err := b.docker(ctx, "exec", name, "true")
			return err
		})
	}
	for _, runtime := range []string{"runc", "runcvm"} {
		remove, err := b.idle(ctx, "exec-"+runtime, runtime)
		if err != nil {
			return err
		}
		defer remove()
		// The first exec waits for the boot.
		if _, err := b.docker(ctx, "exec", "exec-"+runtime, "true"); err != nil {
			return err
		}
	}
	m, err := medians(ctx, b.samples, figure{"runc", exec("exec-runc")}, figure{"runcvm", exec("exec-runcvm")})
	if err != nil {
		return err
	}
	ratio("runcvm / runc", m[1], m[0])
	return nil
}

// stops compares how long a container takes to end whose program ends in order.
func (b *bench) stops(ctx context.Context) error {
	fmt.Printf("\ndocker stop of a shell with a trap, medians of %d\n", b.samples)
	stop := func(runtime string) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (took time.Duration, err error) {
			const name = "stops"
			_, err = b.docker(ctx, "run", "--detach", "--name", name, "--runtime", runtime, harness.Image,
				"sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done")
			if err != nil {
				return 0, err
			}
			defer func() { _, _ = b.docker(context.WithoutCancel(ctx), "rm", "--force", name) }()
			if _, err := b.docker(ctx, "exec", name, "true"); err != nil {
				return 0, err
			}
			start := time.Now()
			if _, err := b.docker(ctx, "stop", "--time", "60", name); err != nil {
				return 0, err
			}
			took = time.Since(start)
			if code, err := b.docker(ctx, "inspect", "--format", "{{.State.ExitCode}}", name); err != nil || code != "3\n" {
				return 0, fmt.Errorf("exit code %q: %w", code, err)
			}
			return took, nil
		}
	}
	m, err := medians(ctx, b.samples, figure{"runc", stop("runc")}, figure{"runcvm", stop("runcvm")})
	if err != nil {
		return err
	}
	ratio("runcvm / runc", m[1], m[0])
	return nil
}

// creates compares what the two runtimes do on the host before the container's
// own processes: wall time and processor time.
func (b *bench) creates(ctx context.Context) error {
	fmt.Printf("\ncreate of an OCI bundle on the host, medians of %d\n", b.samples)
	dir, err := newBundle(ctx, filepath.Join(b.engine.Scratch, "create"), "sleep", "infinity")
	if err != nil {
		return err
	}
	cpu := map[string][]time.Duration{}
	create := func(name string, runtime harness.Runtime) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (time.Duration, error) {
			wall, used, err := createOnce(ctx, runtime, dir)
			cpu[name] = append(cpu[name], used)
			return wall, err
		}
	}
	m, err := medians(ctx, b.samples, figure{"runc, wall", create("runc", harness.Runtime{Path: "runc"})}, figure{"runcvm, wall", create("runcvm", harness.Installed())})
	if err != nil {
		return err
	}
	ratio("runcvm / runc, wall", m[1], m[0])
	c, err := medians(ctx, b.samples, replay("runc, processor", cpu["runc"]), replay("runcvm, processor", cpu["runcvm"]))
	if err != nil {
		return err
	}
	ratio("runcvm / runc, processor", c[1], c[0])
	return nil
}

// replay is a figure that was measured together with another.
func replay(name string, values []time.Duration) figure {
	i := -1
	return figure{name, func(context.Context) (time.Duration, error) {
		i++
		return values[i], nil
	}}
}

// createOnce creates a container, measures that, and deletes it.
func createOnce(ctx context.Context, runtime harness.Runtime, bundle string) (wall, used time.Duration, err error) {
	root := filepath.Join(bundle, "root")
	id := "bench-" + strconv.Itoa(os.Getpid())
	// The container inherits the output: a file, since a pipe would stay open.
	out, err := os.Create(filepath.Join(bundle, "output"))
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	cmd := runtime.Command(ctx, "--root", root, "create", "--bundle", bundle, id)
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	err = cmd.Run()
	wall = time.Since(start)
	if err != nil {
		said, _ := os.ReadFile(out.Name())
		return 0, 0, fmt.Errorf("%s create: %w: %s", runtime.Path, err, said)
	}
	used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	remove := runtime.Command(context.WithoutCancel(ctx), "--root", root, "delete", "--force", id)
	if said, err := remove.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%s delete: %w: %s", runtime.Path, err, said)
	}
	return wall, used, nil
}

// newBundle makes an OCI bundle with an unpacked root file system in dir.
func newBundle(ctx context.Context, dir string, args ...string) (string, error) {
	root := filepath.Join(dir, "rootfs")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	for _, c := range [][]string{
		{"tar", "-C", root, "-xf", harness.RootfsArchive()},
		{"runc", "spec", "--bundle", dir},
	} {
		if out, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w: %s", c, err, out)
		}
	}
	return dir, harness.EditConfig(dir, func(config map[string]any) {
		process := config["process"].(map[string]any)
		process["terminal"], process["args"] = false, args
	})
}
