package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Podman is a Podman of its own: its images, containers, networks and locks are
// in the engine's folder, and its "host" is the engine's network namespace. What
// is left of it goes with the engine.
type Podman struct {
	engine  *Engine
	runtime Runtime
}

// NewPodman returns a Podman that runs containers by this runtime, as "runcvm".
// There is one for each engine.
func (e *Engine) NewPodman(r Runtime) (*Podman, error) {
	p := &Podman{engine: e, runtime: r}
	config := fmt.Sprintf(`[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime_supports_json = ["crun", "runc", "runcvm"]
static_dir = %[1]q
tmp_dir = %[2]q
volume_path = %[3]q
[engine.runtimes]
runcvm = [%[4]q]
[network]
network_backend = "netavark"
network_config_dir = %[5]q
default_subnet = "172.31.77.0/24"
`, p.path("static"), p.path("tmp"), p.path("volumes"), r.Path, p.path("networks"))
	// The file locks are made in a folder that has to be there.
	if err := os.MkdirAll(p.path("tmp"), 0o700); err != nil {
		return nil, err
	}
	return p, os.WriteFile(p.path("containers.conf"), []byte(config), 0o600)
}

func (p *Podman) path(name string) string { return p.engine.path("podman", name) }

// Command prepares a podman command.
func (p *Podman) Command(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{
		"--net=/run/netns/" + p.engine.NetNS, "--", "podman",
		"--root", p.path("root"), "--runroot", p.path("run"), "--storage-driver", "overlay", "--runtime", "runcvm",
	}
	for _, arg := range p.runtime.Args {
		all = append(all, "--runtime-flag", strings.TrimLeft(arg, "-"))
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(all, args...)...)
	cmd.Env = append(cmd.Environ(), "CONTAINERS_CONF="+p.path("containers.conf"))
	return cmd
}

// CgroupParent is an option of run, by which the container's processes are known
// as the engine's.
func (p *Podman) CgroupParent() string { return "--cgroup-parent=" + p.engine.cgroup() + "/podman" }

// Close removes the containers. They would outlive Podman, which is no service.
func (p *Podman) Close() error {
	out, err := p.Command(context.Background(), "rm", "--all", "--force", "--time", "0").CombinedOutput()
	if err != nil {
		return fmt.Errorf("podman rm: %w: %s", err, out)
	}
	if left, err := p.Command(context.Background(), "ps", "--all", "--quiet").Output(); err != nil || len(left) > 0 {
		return errors.Join(err, fmt.Errorf("podman's containers stayed: %s", left))
	}
	return nil
}
