package oci

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestInterposeHooks(t *testing.T) {
	timeout := 3
	hooks := &specs.Hooks{
		//nolint:staticcheck // deprecated, and what Docker uses
		Prestart:        []specs.Hook{{Path: "/a", Args: []string{"a0", "-x"}, Env: []string{"K=V"}, Timeout: &timeout}},
		CreateContainer: []specs.Hook{{Path: "/b"}},
		Poststart:       []specs.Hook{{Path: "/c"}},
		Poststop:        []specs.Hook{{Path: "/d"}, {Path: "/e"}},
	}
	ours := interposeHooks(hooks, "/opt/runcvm/bin/runcvm")
	if diff := cmp.Diff([]specs.Hook{{Path: "/c"}}, ours); diff != "" {
		t.Errorf("ours to call (-want +got):\n%s", diff)
	}
	through := func(args ...string) specs.Hook {
		return specs.Hook{Path: "/opt/runcvm/bin/runcvm", Args: append([]string{"runcvm", "hook"}, args...)}
	}
	prestart := through("/a", "a0", "-x")
	prestart.Env, prestart.Timeout = []string{"K=V"}, &timeout
	want := &specs.Hooks{
		//nolint:staticcheck // as above
		Prestart:        []specs.Hook{prestart},
		CreateRuntime:   []specs.Hook{},
		CreateContainer: []specs.Hook{through("/b")},
		Poststop:        []specs.Hook{through("/d"), through("/e")},
	}
	if diff := cmp.Diff(want, hooks); diff != "" {
		t.Errorf("runc's (-want +got):\n%s", diff)
	}
	if got := interposeHooks(nil, "/x"); got != nil {
		t.Errorf("of no hooks: %v", got)
	}
}

func TestCallersState(t *testing.T) {
	dir := t.TempDir()
	state := []byte(`{"ociVersion": "1.0.2-dev", "id": "c", "pid": 7, "bundle": "` + dir + `", "annotations": {"a": "b"}}`)
	if got, err := callersState(state); err != nil || string(got) != string(state) {
		t.Errorf("a container of others: %s, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, bundleFile), []byte("/the/bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := callersState(state)
	if err != nil {
		t.Fatal(err)
	}
	var got specs.State
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := specs.State{Version: "1.0.2-dev", ID: "c", Pid: 7, Bundle: "/the/bundle", Annotations: map[string]string{"a": "b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "[]", "{}"} {
		if _, err := callersState([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a state", bad)
		}
	}
}

func TestCallHook(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	second := 1
	shell := func(script string, timeout *int) specs.Hook {
		return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"OUT=" + file}, Timeout: timeout}
	}
	if err := callHook(t.Context(), shell(`cat > "$OUT"`, nil), []byte("state")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "state" {
		t.Errorf("the hook read %q, %v", got, err)
	}
	for script, want := range map[string]string{
		"echo why >&2; exit 3":   "exit status 3, output: why",
		"exec tail -f /dev/null": "longer than its timeout of 1 s",
	} {
		if err := callHook(t.Context(), shell(script, &second), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}
