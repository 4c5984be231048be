package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hookKinds are those that run on the host, in the order in which they are called.
var hookKinds = []string{"prestart", "createRuntime", "createContainer", "poststart", "poststop"}

// hooked makes a bundle each of whose hooks keeps the state that it gets in a
// file of dir, and adds its name to the file order.
func hooked(t *testing.T, dir string, args ...string) *bundle {
	t.Helper()
	return newBundle(t, func(config map[string]any) {
		hooks := map[string]any{}
		for _, kind := range hookKinds {
			hooks[kind] = []any{map[string]any{
				"path": "/bin/sh", "args": []string{"hook", "-c", `echo "$KIND" >> "$DIR/order"; cat > "$DIR/$KIND"`},
				"env": []string{"PATH=/usr/bin:/bin", "KIND=" + kind, "DIR=" + dir}, "timeout": 20,
			}}
		}
		config["hooks"] = hooks
		config["annotations"] = map[string]string{"org.example": "hooked"}
		process(map[string]any{"args": args})(config)
	})
}

// TestBundleHooks has every hook called when it is its turn, with the state of
// the container as the caller knows it.
func TestBundleHooks(t *testing.T) {
	alone(t)
	if underTest() == "runc" {
		t.Skip("runc before 1.2 calls poststart hooks already by create")
	}
	dir := t.TempDir()
	b := hooked(t, dir, "sleep", "infinity")
	called := func() string {
		order, err := os.ReadFile(filepath.Join(dir, "order"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(order)), " ")
	}
	out, err := os.Create(filepath.Join(b.root, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	create := b.command("create", "--bundle", b.dir, b.id())
	create.Stdout, create.Stderr = out, out
	if err := create.Run(); err != nil {
		t.Fatalf("create: %v: %s", err, content(t, out.Name()))
	}
	equal(t, "called by create", called(), "prestart createRuntime createContainer")
	must(t, b.runcvm("start", b.id()))
	equal(t, "called by start", called(), "prestart createRuntime createContainer poststart")
	must(t, b.runcvm("exec", b.id(), "true")) // the entrypoint runs
	must(t, b.runcvm("kill", b.id(), "KILL"))
	eventually(t, "stopped", func() bool { return strings.Contains(b.runcvm("state", b.id()).Stdout, `"stopped"`) })
	must(t, b.runcvm("delete", b.id()))
	equal(t, "called by delete", called(), strings.Join(hookKinds, " "))
	for _, kind := range hookKinds {
		var state specs.State
		if err := json.Unmarshal([]byte(content(t, filepath.Join(dir, kind))), &state); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		equal(t, kind+": id", state.ID, b.id())
		equal(t, kind+": bundle", state.Bundle, b.dir)
		equal(t, kind+": annotation", state.Annotations["org.example"], "hooked")
		if kind == "poststart" && (state.Status != specs.StateRunning || state.Pid == 0) {
			t.Errorf("poststart: status %s, process %d", state.Status, state.Pid)
		}
	}
}

// TestBundleHooksOfRun: run is create, start and delete.
func TestBundleHooksOfRun(t *testing.T) {
	alone(t)
	dir := t.TempDir()
	b := hooked(t, dir, "true")
	must(t, b.runcvm("run", "--bundle", b.dir, b.id()))
	got := strings.Fields(content(t, filepath.Join(dir, "order")))
	if !slices.Equal(got, hookKinds) {
		t.Errorf("called: %v, want %v", got, hookKinds)
	}
}

// TestBundleHookFails: an error of create or of start that names the hook, and no
// container that runs.
func TestBundleHookFails(t *testing.T) {
	alone(t)
	for kind, verbs := range map[string]string{"prestart": "create", "createContainer": "create", "poststart": "create start"} {
		if underTest() == "runc" && kind == "poststart" {
			continue // see TestBundleHooks
		}
		b := newBundle(t, func(config map[string]any) {
			config["hooks"] = map[string]any{kind: []any{map[string]any{"path": "/bin/sh", "args": []string{"sh", "-c", "echo the reason; exit 3"}}}}
			process(map[string]any{"args": []string{"sleep", "infinity"}})(config)
		})
		var code int
		var said string
		for verb := range strings.FieldsSeq(verbs) {
			log := filepath.Join(b.root, verb)
			out, err := os.Create(log)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{verb}
			if verb == "create" {
				args = append(args, "--bundle", b.dir)
			}
			cmd := b.command(append(args, b.id())...)
			cmd.Stdout, cmd.Stderr = out, out
			_ = cmd.Run()
			out.Close()
			code, said = cmd.ProcessState.ExitCode(), content(t, log)
		}
		if code == 0 || !strings.Contains(said, "hook #0") || !strings.Contains(said, "exit status 3") || !strings.Contains(said, "the reason") {
			t.Errorf("%s: exit code %d: %s", kind, code, said)
		}
		if state := b.runcvm("state", b.id()); strings.Contains(state.Stdout, `"running"`) {
			t.Errorf("%s: the container runs: %s", kind, state.Stdout)
		}
	}
}
