package suite

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// denied is what a command says, by its arguments, in a cgroup whose rules deny
// a character device: a container that has the whole of the host but this.
func denied(t *testing.T, major, minor int, argv ...string) harness.Result {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("runc", "spec", "--bundle", dir).CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v: %s", err, out)
	}
	all := []string{"CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_NET_ADMIN", "CAP_DAC_OVERRIDE", "CAP_MKNOD"}
	err := harness.EditConfig(dir, func(config map[string]any) {
		process := config["process"].(map[string]any)
		process["terminal"], process["noNewPrivileges"], process["args"] = false, false, argv
		process["env"] = os.Environ()
		process["capabilities"] = map[string]any{"bounding": all, "effective": all, "permitted": all}
		config["root"] = map[string]any{"path": "root"}
		config["mounts"] = []any{}
		delete(config, "hostname")
		config["linux"] = map[string]any{
			"cgroupsPath": "/" + filepath.Base(dir) + "-denied",
			"namespaces":  []any{map[string]any{"type": "mount"}},
			"resources": map[string]any{"devices": []any{
				map[string]any{"allow": true, "access": "rwm"},
				map[string]any{"allow": false, "type": "c", "major": major, "minor": minor, "access": "rwm"},
			}},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// The mount namespace takes the bind mount of the whole host away again.
	const script = `set -e
mkdir "$1/root"
mount --rbind / "$1/root"
exec runc --root "$1/state" run --bundle "$1" "$2"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", script, "sh", dir, "kvm-"+filepath.Base(filepath.Dir(dir)))
	r, err := harness.Run(cmd, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wire is two network namespaces on a cable: the container's, whose interface
// is eth0, and its peer's.
type wire struct{ container, peer string }

// Addresses on a wire.
const (
	containerAddress = "10.77.0.2"
	peerAddress      = "10.77.0.1"
)

// newWire makes a wire that is gone after the test.
func newWire(t *testing.T) wire {
	t.Helper()
	name := strings.ToLower(t.Name())
	w := wire{container: name + "-c", peer: name + "-p"}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	for _, ns := range []string{w.container, w.peer} {
		ip("netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	}
	ip("-n", w.container, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", w.peer)
	for ns, address := range map[string]string{w.container: containerAddress, w.peer: peerAddress} {
		ip("-n", ns, "address", "add", address+"/24", "dev", "eth0")
		ip("-n", ns, "link", "set", "eth0", "up")
	}
	return w
}

// join gives a bundle's container the wire's end.
func (w wire) join(b *bundle) {
	b.t.Helper()
	b.edit(func(config map[string]any) {
		for _, n := range config["linux"].(map[string]any)["namespaces"].([]any) {
			if n := n.(map[string]any); n["type"] == "network" {
				n["path"] = "/run/netns/" + w.container
			}
		}
	})
}

// probePath is the program probe: on the host of the tests, and in the root file
// system, whose own path it is as well.
func probePath() string { return filepath.Join(os.Getenv(lab.ScratchVar), "rootfs", lab.ProbePath) }

// atPeer prepares a command of the program probe at the wire's other end.
func (w wire) atPeer(t *testing.T, args ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "ip", slices.Concat([]string{"netns", "exec", w.peer, probePath()}, args)...)
}

// serve runs a server at the wire's other end until the test ends.
func (w wire) serve(t *testing.T, args ...string) {
	t.Helper()
	cmd := w.atPeer(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
