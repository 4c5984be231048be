package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// machine is a bundle of the product with a profile of its own.
type machine struct {
	dir, id string
	runtime harness.Runtime
}

// newMachine makes a bundle that runs a program. The profile is blocks beside
// the accelerator; the wire, when there is one, its network.
func (b *bench) newMachine(name, profile string, w *wire, args ...string) (*machine, error) {
	m := &machine{dir: filepath.Join(b.dir, name), id: "bench-" + name}
	profiles := filepath.Join(m.dir, "profiles")
	if err := os.MkdirAll(profiles, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("profile \"default\" {\n%s\nmachine {\n  accel = %q\n}\n}\n", profile, b.accel)
	if err := os.WriteFile(filepath.Join(profiles, "default.hcl"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	m.runtime = harness.Installed("--profiles-dir=" + profiles)
	if out, err := exec.Command(harness.Binary(), "spec", "--bundle", m.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("runcvm spec: %w: %s", err, out)
	}
	return m, harness.EditConfig(m.dir, func(config map[string]any) {
		config["root"] = map[string]any{"path": filepath.Join(b.scratch, "rootfs")}
		process := config["process"].(map[string]any)
		process["terminal"], process["args"] = false, args
		if w == nil {
			return
		}
		for _, n := range config["linux"].(map[string]any)["namespaces"].([]any) {
			if n := n.(map[string]any); n["type"] == "network" {
				n["path"] = "/run/netns/" + w.container
			}
		}
	})
}

// command prepares a verb of the product.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	return m.runtime.Command(ctx, append([]string{"--root", filepath.Join(m.dir, "root")}, args...)...)
}

// start boots the machine and leaves it running.
func (m *machine) start(ctx context.Context) error {
	// The container inherits the output: a pipe would stay open.
	out, err := os.Create(filepath.Join(m.dir, "output"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := m.command(ctx, "run", "--detach", "--bundle", m.dir, m.id)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("runcvm run: %w: %s", err, said)
	}
	return nil
}

// remove ends the machine, also after the context.
func (m *machine) remove(ctx context.Context) {
	_ = m.command(context.WithoutCancel(ctx), "delete", "--force", m.id).Run()
}

// exec runs a program in the machine with this input and output.
func (m *machine) exec(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := m.command(ctx, append([]string{"exec", m.id}, args...)...)
	var said strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("exec %v: %w: %s", args, err, said.String())
	}
	return nil
}

// number runs the program probe in the machine, which prints a number.
func (m *machine) number(ctx context.Context, args ...string) (float64, error) {
	var out strings.Builder
	if err := m.exec(ctx, nil, &out, append([]string{"probe"}, args...)...); err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
}

// wire is two network namespaces on a cable: a container's and its peer's.
type wire struct {
	container, peer               string
	containerAddress, peerAddress string
	probe                         string
	servers                       []*exec.Cmd
}

// newWire makes a wire.
func (b *bench) newWire() (*wire, error) {
	b.wires++
	prefix := fmt.Sprintf("10.78.%d.", b.wires)
	w := &wire{
		container: fmt.Sprintf("bench%d-c", b.wires), peer: fmt.Sprintf("bench%d-p", b.wires),
		containerAddress: prefix + "2", peerAddress: prefix + "1",
		probe: filepath.Join(b.scratch, "rootfs", lab.ProbePath),
	}
	for _, args := range [][]string{
		{"netns", "add", w.container},
		{"netns", "add", w.peer},
		{"-n", w.container, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", w.peer},
		{"-n", w.container, "address", "add", w.containerAddress + "/24", "dev", "eth0"},
		{"-n", w.peer, "address", "add", w.peerAddress + "/24", "dev", "eth0"},
		{"-n", w.container, "link", "set", "eth0", "up"},
		{"-n", w.peer, "link", "set", "eth0", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return w, fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return w, nil
}

// remove ends the servers and takes the namespaces away.
func (w *wire) remove() {
	for _, s := range w.servers {
		_ = s.Process.Kill()
		_ = s.Wait()
	}
	for _, ns := range []string{w.container, w.peer} {
		_ = exec.Command("ip", "netns", "del", ns).Run()
	}
}

// atPeer prepares a command of the program probe at the peer.
func (w *wire) atPeer(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", slices.Concat([]string{"netns", "exec", w.peer, w.probe}, args)...)
}

// serve runs a server at the peer until the wire is removed.
func (w *wire) serve(ctx context.Context, args ...string) error {
	cmd := w.atPeer(ctx, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	w.servers = append(w.servers, cmd)
	return nil
}

// timed makes a measurement in milliseconds of what f does.
func timed(f func(context.Context) error) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		start := time.Now()
		err := f(ctx)
		return float64(time.Since(start)) / float64(time.Millisecond), err
	}
}

// rate makes a measurement in MiB/s of f, which moves so many MiB.
func rate(mib int, f func(context.Context) error) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		start := time.Now()
		err := f(ctx)
		return float64(mib) / time.Since(start).Seconds(), err
	}
}
