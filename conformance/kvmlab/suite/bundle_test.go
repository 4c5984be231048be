package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// bundle is an OCI bundle on the scratch disk's root file system.
type bundle struct {
	t    *testing.T
	dir  string
	root string // --root of the runtime
	id   string

	// How the runtime is called, beyond the usual: options of its own, a command
	// that runs it, and what else is to be set.
	options []string
	under   []string
	adjust  func(*exec.Cmd)
}

// newBundle makes a bundle that runs a program without a terminal.
func newBundle(t *testing.T, args ...string) *bundle {
	t.Helper()
	b := &bundle{t: t, dir: t.TempDir(), root: t.TempDir()}
	b.id = fmt.Sprintf("kvm-%d-%s", os.Getpid(), filepath.Base(filepath.Dir(b.dir))+filepath.Base(b.dir))
	t.Cleanup(func() {
		// By its own context: the test's has ended. Most have nothing to delete.
		_ = b.runtime().Command(context.Background(), "--root", b.root, "delete", "--force", b.id).Run()
	})
	b.options = []string{"--profiles-dir=" + b.profiles()}
	writeProfiles(t, b.profiles(), "")
	b.must("spec", "--bundle", b.dir)
	b.edit(func(config map[string]any) {
		config["root"] = map[string]any{"path": filepath.Join(os.Getenv(lab.ScratchVar), "rootfs"), "readonly": false}
		process := config["process"].(map[string]any)
		process["terminal"], process["args"] = false, args
	})
	return b
}

// edit changes the bundle's config.json.
func (b *bundle) edit(change func(config map[string]any)) {
	b.t.Helper()
	if err := harness.EditConfig(b.dir, change); err != nil {
		b.t.Fatal(err)
	}
}

// profiles is the host's folder of profiles.
func (b *bundle) profiles() string { return filepath.Join(b.root, "profiles") }

// profile adds to the host's default profile.
func (b *bundle) profile(blocks string) {
	b.t.Helper()
	writeProfiles(b.t, b.profiles(), blocks)
}

// writeProfiles writes a host's default profile into a folder. On a busy host a
// machine in the lab takes minutes to boot.
func writeProfiles(t *testing.T, dir, blocks string) {
	t.Helper()
	files := map[string]string{
		"patient.hcl": "profile \"patient\" {\n  agent {\n    boot_timeout = \"4m\"\n  }\n}\n",
		"default.hcl": "profile \"default\" {\n  inherits = [\"patient\"]\n" + blocks + "\n}\n",
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// policy is the host's policy from here on, beside its profile.
func (b *bundle) policy(blocks string) {
	b.t.Helper()
	text := "policy \"lab\" {\n" + blocks + "\n}\n"
	if err := os.WriteFile(filepath.Join(b.profiles(), "policy.hcl"), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) runtime() harness.Runtime { return harness.Installed() }

func (b *bundle) command(args ...string) *exec.Cmd {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), commandLimit)
	b.t.Cleanup(cancel)
	cmd := b.runtime().Command(ctx, slices.Concat([]string{"--root", b.root}, b.options, args)...)
	if len(b.under) > 0 {
		cmd = exec.CommandContext(ctx, b.under[0], slices.Concat(b.under[1:], cmd.Args)...)
	}
	if b.adjust != nil {
		b.adjust(cmd)
	}
	return cmd
}

// run runs a verb with this input.
func (b *bundle) run(stdin io.Reader, args ...string) harness.Result {
	b.t.Helper()
	r, err := harness.Run(b.command(args...), stdin)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// must runs a verb that has to succeed and returns what it prints.
func (b *bundle) must(args ...string) string {
	b.t.Helper()
	r := b.run(strings.NewReader(""), args...)
	if r.Code != 0 {
		b.t.Fatalf("runcvm %s: exit code %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return r.Stdout
}

// decode reads what a verb that has to succeed prints as JSON.
func (b *bundle) decode(into any, args ...string) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.must(args...)), into); err != nil {
		b.t.Fatal(err)
	}
}

// lastLines is how much of a log a failed test shows.
const lastLines = 20

// detach starts the bundle and leaves it running. Its output goes to the file
// that is returned.
func (b *bundle) detach() string {
	b.t.Helper()
	// A file, not a pipe: whoever reads that would wait for the container's end.
	out, err := os.Create(filepath.Join(b.root, "out"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer out.Close()
	b.t.Cleanup(func() {
		if !b.t.Failed() {
			return
		}
		for what, path := range map[string]string{"container": out.Name(), "supervisor": b.statePath("supervisor.log")} {
			said, err := os.ReadFile(path)
			if err != nil {
				continue // the supervisor's is gone with the container
			}
			lines := strings.Split(strings.TrimSpace(string(said)), "\n")
			b.t.Logf("the %s said at last: %s", what, strings.Join(lines[max(0, len(lines)-lastLines):], "\n"))
		}
	})
	cmd := b.command("run", "--detach", "--bundle", b.dir, b.id)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		b.t.Fatalf("run --detach: %v: %s", err, said)
	}
	return out.Name()
}

// status is the container's status, "" when there is none of that name.
func (b *bundle) status() string {
	b.t.Helper()
	r := b.run(strings.NewReader(""), "state", b.id)
	if r.Code != 0 {
		return ""
	}
	var state struct{ Status string }
	if err := json.Unmarshal([]byte(r.Stdout), &state); err != nil {
		b.t.Fatal(err)
	}
	return state.Status
}
