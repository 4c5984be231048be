package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/supervisor"
)

// runtimeWith is a runtime whose container "c" has the plan p.
func runtimeWith(t *testing.T, p *plan.Plan) *Runtime {
	t.Helper()
	r := &Runtime{Root: filepath.Join(t.TempDir(), "root"), RunDir: t.TempDir()}
	data, err := plan.Encode(p)
	if err == nil {
		if err = os.MkdirAll(r.StateDir("c"), 0o700); err != nil {
			t.Fatal(err)
		}
		err = writeState(r.StateDir("c"), map[string][]byte{supervisor.PlanFile: data})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStateDir(t *testing.T) {
	dir := func(root, id string) string { return (&Runtime{Root: root, RunDir: "/run/runcvm"}).StateDir(id) }
	if got, want := dir("/run/runc", "c1"), "/run/runcvm/state/58ff279f/c1"; got != want {
		t.Errorf("StateDir = %s, want %s", got, want)
	}
	// Docker and containerd may each have a container of one name.
	if dir("/run/docker/runtime-runc/moby", "c1") == dir("/run/containerd/runc/k8s.io", "c1") {
		t.Error("containers of two roots share a folder")
	}
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "/", "../c"} {
		if checkID(id) == nil {
			t.Errorf("%q is taken for an id", id)
		}
	}
	for _, id := range []string{"c", "...", "a.b_c-d+e", strings.Repeat("0123456789abcdef", 4)} {
		if err := checkID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]int{
		"": 15, "0": 0, "9": 9, "64": 64, "TERM": 15, "SIGTERM": 15, "sigusr1": 10, "winch": 28,
		"RTMIN": 34, "SIGRTMIN+3": 37, "rtmax": 64, "RTMAX-14": 50,
	} {
		if got, err := parseSignal(in); err != nil || got != want {
			t.Errorf("parseSignal(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"-1", "65", "NONSENSE", "SIG", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN+x", " TERM"} {
		if got, err := parseSignal(in); err == nil {
			t.Errorf("parseSignal(%q) = %d, want an error", in, got)
		}
	}
}

// TestStateFoldersComeAndGo has containers of one root created and deleted at
// the same time: the folder of the root goes with the last of them.
func TestStateFoldersComeAndGo(t *testing.T) {
	r := &Runtime{Root: "/run/runc", RunDir: t.TempDir()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprintf("c%d", i)
			for range 200 {
				release, err := r.claimState(id)
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				release()
				if err := r.removeState(id); err != nil {
					t.Errorf("remove: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if entries, err := os.ReadDir(filepath.Join(r.RunDir, "state")); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestClaimState(t *testing.T) {
	r := &Runtime{Root: t.TempDir(), RunDir: t.TempDir()}
	release, err := r.claimState("c")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeState(r.StateDir("c"), map[string][]byte{"file": nil}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.claimState("c"); err == nil || err.Error() != "container with id exists: c" {
		t.Errorf("while another makes it: %v", err)
	}
	release()
	if release, err = r.claimState("c"); err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	release()
	if entries, err := os.ReadDir(r.StateDir("c")); err != nil || len(entries) != 0 {
		t.Errorf("after a crash there is %v, %v", entries, err)
	}
	if info, err := os.Stat(r.StateDir("c")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v; want it for root alone", info, err)
	}
	if err := os.Mkdir(filepath.Join(r.Root, "c"), 0o700); err != nil { // as runc does
		t.Fatal(err)
	}
	if _, err := r.claimState("c"); err == nil || err.Error() != "container with id exists: c" {
		t.Errorf("one that runc knows: %v", err)
	}
}

func TestProcess(t *testing.T) {
	r := runtimeWith(t, &plan.Plan{Guest: plan.Guest{Process: specs.Process{
		Args: []string{"sleep", "infinity"}, Cwd: "/srv", Env: []string{"PATH=/bin"}, User: specs.User{UID: 5, GID: 6},
	}}})
	tests := map[string]struct {
		in   ProcessOptions
		want specs.Process
	}{
		"the entrypoint's settings": {
			ProcessOptions{Args: []string{"id"}},
			specs.Process{Args: []string{"id"}, Cwd: "/srv", Env: []string{"PATH=/bin"}, User: specs.User{UID: 5, GID: 6}},
		},
		"all given": {
			ProcessOptions{Args: []string{"id"}, Cwd: "/", Env: []string{"A=b"}, Terminal: true, User: "7:8", AdditionalGids: []uint{9}},
			specs.Process{Args: []string{"id"}, Cwd: "/", Env: []string{"PATH=/bin", "A=b"}, Terminal: true, User: specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9}}},
		},
		"a user without a group": {
			ProcessOptions{Args: []string{"id"}, User: "7"},
			specs.Process{Args: []string{"id"}, Cwd: "/srv", Env: []string{"PATH=/bin"}, User: specs.User{UID: 7}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := r.Process("c", test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("process (-want +got):\n%s", diff)
			}
		})
	}
	for _, user := range []string{"root", "1:wheel", ":1", "-1", "4294967296"} {
		if _, err := r.Process("c", ProcessOptions{Args: []string{"id"}, User: user}); err == nil || !strings.Contains(err.Error(), "UID[:GID]") {
			t.Errorf("user %q: %v", user, err)
		}
	}
}

func TestCheckProcess(t *testing.T) {
	for name, c := range map[string]struct {
		process specs.Process
		want    string
	}{
		"fine":     {specs.Process{Cwd: "/", Args: []string{"true"}}, ""},
		"no cwd":   {specs.Process{Args: []string{"true"}}, "Cwd property must not be empty"},
		"relative": {specs.Process{Cwd: "a", Args: []string{"true"}}, "Cwd must be an absolute path"},
		"nothing":  {specs.Process{Cwd: "/"}, "args must not be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkProcess(&c.process)
			if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestPlanThatWasChanged(t *testing.T) {
	r := runtimeWith(t, &plan.Plan{Machine: plan.Machine{MemoryMiB: 300}})
	path := filepath.Join(r.StateDir("c"), supervisor.PlanFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), "300", "301", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Plan("c"); !errors.Is(err, plan.ErrDigest) {
		t.Errorf("error %v, want %v", err, plan.ErrDigest)
	}
}

func TestFindRunc(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "crun")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got, err := FindRunc("crun"); err != nil || got != program {
		t.Errorf("by name: %s, %v", got, err)
	}
	if got, err := FindRunc(program); err != nil || got != program {
		t.Errorf("by path: %s, %v", got, err)
	}
	if _, err := FindRunc("no-such-runtime"); err == nil || !strings.Contains(err.Error(), "--runtime") {
		t.Errorf("a missing one: %v", err)
	}
}
