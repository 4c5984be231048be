package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Runtime is an OCI runtime that the engine registers.
type Runtime struct {
	Path string   // the runtime's binary
	Args []string // before the verb
	// Hide lists folders that the runtime sees empty, by a mount namespace of
	// its own: how a machine without them looks.
	Hide []string
}

// RunDir is where the containers of this process's tests have their state, so
// that others on the host are not taken for what a test left behind.
func RunDir() string { return fmt.Sprintf("/run/runcvm-conformance-%d", os.Getpid()) }

// Installed is the runtime under test with these options.
func Installed(args ...string) Runtime {
	return Runtime{Path: Binary(), Args: append([]string{"--prefix=" + Prefix(), "--run-dir=" + RunDir()}, args...)}
}

// Without is the runtime on a host that lacks these folders.
func (r Runtime) Without(dirs ...string) Runtime {
	r.Hide = append(slices.Clone(r.Hide), dirs...)
	return r
}

// Command prepares a direct call of the runtime.
func (r Runtime) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, r.Path, append(slices.Clone(r.Args), args...)...)
}

// Engine is a Docker engine of its own: containerd, dockerd, a network
// namespace for its bridges and firewall rules, and a folder for all its files.
// What it makes is gone after Stop.
type Engine struct {
	Scratch string // everything that the engine writes
	NetNS   string // name of the network namespace: the "host" of its containers

	containerd, dockerd *child
	keyIsOurs           bool // dockerKey was not there before
}

// dockerKey is an identity that dockerd up to 24 makes wherever it runs; the
// option for another path is unknown to those after.
const dockerKey = "/etc/docker/key.json"

const scratchPattern = "runcvm-conformance-"

// Scratch is the folder of this process's engine.
func Scratch() string {
	base := variable("RUNCVM_CONFORMANCE_SCRATCH", "/var/tmp")
	return filepath.Join(base, fmt.Sprintf("%s%d", scratchPattern, os.Getpid()))
}

// Start starts the engine and waits until it answers. The runtimes are
// registered beside runc, by name. The caller calls Stop, also after an error.
func Start(ctx context.Context, runtimes map[string]Runtime) (*Engine, error) {
	e := &Engine{Scratch: Scratch(), NetNS: filepath.Base(Scratch())}
	sweep(filepath.Dir(e.Scratch))
	if err := os.MkdirAll(e.Scratch, 0o700); err != nil {
		return e, err
	}
	for _, step := range []func(context.Context) error{
		e.makeNetNS,
		e.startContainerd,
		func(ctx context.Context) error { return e.startDockerd(ctx, runtimes) },
	} {
		if err := step(ctx); err != nil {
			return e, err
		}
	}
	return e, nil
}

// Socket is the address of the engine's API.
func (e *Engine) Socket() string { return "unix://" + e.path("docker.sock") }

// Path is a path below the engine's scratch folder.
func (e *Engine) path(elem ...string) string {
	return filepath.Join(append([]string{e.Scratch}, elem...)...)
}

func (e *Engine) makeNetNS(ctx context.Context) error {
	if err := command(ctx, "ip", "netns", "add", e.NetNS); err != nil {
		return err
	}
	return command(ctx, "ip", "-n", e.NetNS, "link", "set", "lo", "up")
}

func (e *Engine) startContainerd(ctx context.Context) error {
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = %q
[plugins."io.containerd.internal.v1.opt"]
path = %q
`, e.path("containerd"), e.path("containerd-run"), e.path("containerd.sock"), e.path("containerd-opt"))
	if err := os.WriteFile(e.path("containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	var err error
	e.containerd, err = startChild(e.path("containerd.log"), "containerd", "--config", e.path("containerd.toml"))
	if err != nil {
		return err
	}
	return e.containerd.await(ctx, func() error {
		_, err := os.Stat(e.path("containerd.sock"))
		return err
	})
}

func (e *Engine) startDockerd(ctx context.Context, runtimes map[string]Runtime) error {
	type entry struct {
		Path string   `json:"path"`
		Args []string `json:"runtimeArgs,omitempty"`
	}
	entries := map[string]entry{}
	for name, r := range runtimes {
		path, err := e.wrap(name, r)
		if err != nil {
			return err
		}
		entries[name] = entry{Path: path, Args: r.Args}
	}
	config, err := json.Marshal(map[string]any{
		"runtimes": entries,
		"bip":      "172.28.77.1/24",
		"default-address-pools": []map[string]any{
			{"base": "172.29.0.0/16", "size": 24},
		},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(e.path("daemon.json"), config, 0o600); err != nil {
		return err
	}
	_, err = os.Lstat(dockerKey)
	e.keyIsOurs = errors.Is(err, os.ErrNotExist)
	e.dockerd, err = startChild(e.path("dockerd.log"),
		"nsenter", "--net=/run/netns/"+e.NetNS, "--",
		"dockerd", "--config-file", e.path("daemon.json"),
		"--host", e.Socket(), "--containerd", e.path("containerd.sock"),
		"--data-root", e.path("docker"), "--exec-root", e.path("docker-run"), "--pidfile", e.path("docker.pid"),
		"--storage-driver", "overlay2", "--cgroup-parent", e.cgroup())
	if err != nil {
		return err
	}
	return e.dockerd.await(ctx, func() error {
		return command(ctx, "docker", "--host", e.Socket(), "version")
	})
}

// cgroup is the parent of all the containers' cgroups, by which their
// processes are known.
func (e *Engine) cgroup() string { return "/" + filepath.Base(e.Scratch) }

// wrap writes a script in front of a runtime that is not to see some folders.
func (e *Engine) wrap(name string, r Runtime) (string, error) {
	if len(r.Hide) == 0 {
		return r.Path, nil
	}
	var script strings.Builder
	script.WriteString("#!/bin/sh\nexec unshare --mount sh -c '")
	for _, dir := range r.Hide {
		fmt.Fprintf(&script, "mount -t tmpfs none %s && ", dir)
	}
	fmt.Fprintf(&script, "exec %s \"$@\"' %s \"$@\"\n", r.Path, name)
	path := e.path("runtime-" + name)
	return path, os.WriteFile(path, []byte(script.String()), 0o700)
}

// Stop ends the engine and removes everything that it made. It reports what
// would not go.
func (e *Engine) Stop() error {
	var errs []error
	for _, c := range []*child{e.dockerd, e.containerd} {
		if c != nil {
			errs = append(errs, c.stop(30*time.Second))
		}
	}
	if e.keyIsOurs {
		if err := os.Remove(dockerKey); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, remove(e.Scratch, e.NetNS), os.RemoveAll(RunDir()))
	return errors.Join(errs...)
}

// Log returns the end of dockerd's log.
func (e *Engine) Log() string { return tail(e.path("dockerd.log"), 30) }

// remove takes away a scratch folder with the mounts below it, the network
// namespace and the empty cgroups.
func remove(scratch, netns string) error {
	var errs []error
	for _, m := range mountsBelow(scratch) {
		errs = append(errs, command(context.Background(), "umount", "--lazy", m))
	}
	if _, err := os.Stat("/run/netns/" + netns); err == nil {
		errs = append(errs, command(context.Background(), "ip", "netns", "del", netns))
	}
	removeCgroups("/" + filepath.Base(scratch))
	return errors.Join(append(errs, os.RemoveAll(scratch))...)
}

// removeCgroups removes a cgroup and those below it, in every hierarchy. One whose
// last process is just ending is busy a little longer; one that stays so shows
// up as processes left behind.
func removeCgroups(name string) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		dirs := append(cgroupDirs(name+"/*"), cgroupDirs(name)...)
		if len(dirs) == 0 {
			return
		}
		for _, dir := range dirs {
			_ = os.Remove(dir)
		}
	}
}

// sweep removes what earlier test processes left that were killed.
func sweep(base string) {
	found, _ := filepath.Glob(filepath.Join(base, scratchPattern+"*"))
	for _, dir := range found {
		pid := strings.TrimPrefix(filepath.Base(dir), scratchPattern)
		if _, err := os.Stat("/proc/" + pid); err == nil {
			continue
		}
		if err := remove(dir, filepath.Base(dir)); err != nil {
			fmt.Fprintf(os.Stderr, "conformance: left by an earlier run: %v\n", err)
		}
	}
}

// command runs a program and returns its output in the error when it fails.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
