package suite

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// engine is the Docker engine of the tests, started by the first that asks.
var engine struct {
	once    sync.Once
	running *harness.Engine
	err     error
}

// docker returns the engine with the image in it.
func docker(t *testing.T) *harness.Engine {
	t.Helper()
	onKVM(t)
	harness.Require(t, harness.Docker)
	engine.once.Do(func() {
		profiles := filepath.Join(os.Getenv(lab.ScratchVar), "profiles")
		writeProfiles(t, profiles, "")
		ctx, cancel := context.WithTimeout(context.Background(), 2*commandLimit)
		defer cancel()
		start := time.Now()
		engine.running, engine.err = harness.Start(ctx, map[string]harness.Runtime{"runcvm": harness.Installed("--profiles-dir=" + profiles)})
		t.Logf("the engine's start took %s", time.Since(start).Round(time.Millisecond))
		if engine.err == nil {
			start = time.Now()
			engine.err = engine.running.ImportImage(ctx, filepath.Join(os.Getenv(lab.ScratchVar), lab.ImageFile))
			t.Logf("the image's import took %s", time.Since(start).Round(time.Millisecond))
		}
	})
	if engine.err != nil {
		t.Fatalf("the engine: %v", engine.err)
	}
	return engine.running
}

// dockerRun runs a docker command.
func dockerRun(t *testing.T, e *harness.Engine, args ...string) harness.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	r, err := e.Docker(ctx, strings.NewReader(""), args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, e.Log())
	}
	return r
}

func TestDockerRun(t *testing.T) {
	e := docker(t)
	got := dockerRun(t, e, "run", "--rm", "--runtime", "runcvm", harness.Image, "sh", "-c", "echo out; echo err >&2; uname -r; exit 7")
	equal(t, "result", got, harness.Result{Stdout: "out\n" + kernelVersion(t) + "\n", Stderr: "err\n", Code: 7})
}

func TestDockerExecAndStop(t *testing.T) {
	e := docker(t)
	const name = "kvm-exec"
	must := func(args ...string) string {
		t.Helper()
		r := dockerRun(t, e, args...)
		if r.Code != 0 {
			t.Fatalf("docker %s: exit code %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
		}
		return strings.TrimSpace(r.Stdout)
	}
	must("run", "--detach", "--name", name, "--runtime", "runcvm", harness.Image,
		"sh", "-c", "trap 'echo stopping; exit 9' TERM; echo ready; while :; do sleep 1 & wait $!; done")
	equal(t, "exec", dockerRun(t, e, "exec", name, "sh", "-c", "echo exec; exit 5"), harness.Result{Stdout: "exec\n", Code: 5})
	testPlanned(t, must("inspect", "--format", "{{.Id}}", name))
	must("stop", "--time", "60", name)
	equal(t, "logs", must("logs", name), "ready\nstopping")
	equal(t, "exit code", must("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name), "exited 9")
	must("rm", name)
}

// testPlanned looks at the plan of a running container of the engine's: KVM, a
// vsock stream, and the network's frames moved by the host's kernel.
func testPlanned(t *testing.T, id string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(harness.RunDir(), "state", "*", id, "plan.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("plans of the container %s: %v, %v", id, found, err)
	}
	body, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var plan struct {
		Machine struct{ Accel string }
		Agent   agentPlan
		Network struct{ VHost bool }
	}
	if err := json.Unmarshal(body, &plan); err != nil {
		t.Fatal(err)
	}
	equal(t, "accelerator", plan.Machine.Accel, "kvm")
	equal(t, "transport", plan.Agent.Transport, "vsock")
	equal(t, "vhost-net", plan.Network.VHost, true)
}
