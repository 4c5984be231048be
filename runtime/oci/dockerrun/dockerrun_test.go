package dockerrun

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/runtime/image"
)

// TestSpecIsDockers builds the configuration that dockerd wrote for the engine's
// golden cases.
func TestSpecIsDockers(t *testing.T) {
	data, err := os.ReadFile("../../../engine/testdata/docker.json")
	if err != nil {
		t.Fatal(err)
	}
	want := new(specs.Spec)
	if err := json.Unmarshal(data, want); err != nil {
		t.Fatal(err)
	}
	// What a plan does not come from.
	want.Version, want.Hooks = specs.Version, nil
	want.Linux.CgroupsPath, want.Linux.Seccomp = "", nil
	want.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{}}

	o, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, notes, err := o.Spec(&image.Config{Cmd: []string{"/bin/app"}}, Where{
		ID: "a7c5e17f7a3fb0c042b85ea2348d4fd495d0413cf7087c24a4660690b24be269", RootDir: "/var/lib/docker", Rootfs: want.Root.Path,
	})
	if err != nil || len(notes) > 0 {
		t.Fatalf("%v, notes %q", err, notes)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-dockerd's +ours):\n%s", diff)
	}
}

// spec builds one with flags, for an image that has some of everything.
func spec(t *testing.T, args ...string) (*specs.Spec, []string, error) {
	t.Helper()
	o, err := Parse(args)
	if err != nil {
		return nil, nil, err
	}
	return o.Spec(&image.Config{
		User: "7:8", Env: []string{"PATH=/image", "A=image", "B=image"}, Entrypoint: []string{"entry"}, Cmd: []string{"cmd"},
		WorkingDir: "/work", Volumes: map[string]struct{}{"/vol": {}},
	}, Where{ID: strings.Repeat("0", 64), RootDir: "/docker", Rootfs: "/rootfs"})
}

func TestFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("# comment\n\nC=file\nA=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FROM_CALLER", "yes")
	words := func(s *specs.Spec) any { return s.Process.Args }
	env := func(s *specs.Spec) any { return s.Process.Env }
	mount := func(at string) func(*specs.Spec) any {
		return func(s *specs.Spec) any {
			for _, m := range s.Mounts {
				if m.Destination == at {
					return m.Type + " " + m.Source + " " + strings.Join(m.Options, ",")
				}
			}
			return "none"
		}
	}
	tests := []struct {
		args []string
		of   func(*specs.Spec) any
		want any
	}{
		{nil, words, []string{"entry", "cmd"}},
		{[]string{"-it", "--rm", "-p", "80:80", "other", "-m", "1"}, words, []string{"entry", "other", "-m", "1"}},
		{[]string{"--entrypoint", "mine"}, words, []string{"mine"}},
		{[]string{"--entrypoint", "mine", "x"}, words, []string{"mine", "x"}},
		{[]string{"--entrypoint=", "x"}, words, []string{"x"}},
		{[]string{"--annotation", "a=b=c", "--annotation", "d"}, func(s *specs.Spec) any { return s.Annotations }, map[string]string{"a": "b=c", "d": ""}},
		{nil, env, []string{"PATH=/image", "HOSTNAME=000000000000", "A=image", "B=image"}},
		{
			[]string{"-t", "-e", "A=1", "--env-file", file, "-e", "FROM_CALLER", "-e", "NOT_THERE", "-h", "h"},
			env,
			[]string{"PATH=/image", "HOSTNAME=h", "TERM=xterm", "C=file", "A=1", "FROM_CALLER=yes", "B=image"},
		},
		{nil, func(s *specs.Spec) any { return s.Process.User }, specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{8}}},
		{[]string{"-u", "0"}, func(s *specs.Spec) any { return len(s.Process.Capabilities.Effective) }, 14},
		{nil, func(s *specs.Spec) any { return len(s.Process.Capabilities.Effective) }, 0},
		{[]string{"--cap-drop=all", "--cap-add=net_raw"}, func(s *specs.Spec) any { return s.Process.Capabilities.Bounding }, []string{"CAP_NET_RAW"}},
		{[]string{"--cap-add=ALL", "--cap-drop=CAP_BPF"}, func(s *specs.Spec) any { return len(s.Process.Capabilities.Bounding) }, len(all) - 1},
		{[]string{"--privileged"}, func(s *specs.Spec) any { return len(s.Linux.MaskedPaths) + len(s.Linux.ReadonlyPaths) }, 0},
		{[]string{"-m", "1.5g"}, func(s *specs.Spec) any { return *s.Linux.Resources.Memory.Limit }, int64(3 << 29)},
		{[]string{"--cpus", "1.25"}, func(s *specs.Spec) any { return *s.Linux.Resources.CPU.Quota }, int64(125_000)},
		{[]string{"--cpus", ".5"}, func(s *specs.Spec) any { return *s.Linux.Resources.CPU.Quota }, int64(50_000)},
		{[]string{"--read-only", "-w", "/w"}, func(s *specs.Spec) any { return []any{s.Root.Readonly, s.Process.Cwd} }, []any{true, "/w"}},
		{nil, mount("/vol"), "bind /docker/volumes/anonymous/_data rbind"},
		{[]string{"-v", "/src:/vol:ro"}, mount("/vol"), "bind /src rbind,ro,rprivate"},
		{[]string{"-v", "name:/vol/"}, mount("/vol"), "bind /docker/volumes/name/_data rbind"},
		{[]string{"--tmpfs", "/vol:exec,size=1m"}, mount("/vol"), "tmpfs tmpfs nosuid,nodev,rprivate,exec,size=1m"},
		{[]string{"--mount", "type=bind,src=/a,dst=/b,readonly"}, mount("/b"), "bind /a rbind,ro,rprivate"},
		{[]string{"--mount", "type=tmpfs,target=/b,tmpfs-size=1g,tmpfs-mode=1777"}, mount("/b"), "tmpfs tmpfs noexec,nosuid,nodev,rprivate,mode=1777,size=1g"},
		{[]string{"-v", "/mine:/etc/hosts"}, mount("/etc/hosts"), "bind /mine rbind,rprivate"},
		{[]string{"--shm-size", "1k"}, mount("/dev/shm"), "tmpfs shm nosuid,noexec,nodev,mode=1777,size=1024"},
		{[]string{"--network", "host", "--pid", "host"}, func(s *specs.Spec) any { return s.Linux.Namespaces }, []specs.LinuxNamespace{
			{Type: "mount"}, {Type: "network", Path: "/var/run/docker/netns/default"}, {Type: "uts"}, {Type: "ipc"},
		}},
		{[]string{"--oom-score-adj", "-5"}, func(s *specs.Spec) any { return *s.Process.OOMScoreAdj }, -5},
		{[]string{"--ulimit", "nofile=1:2"}, func(s *specs.Spec) any { return s.Process.Rlimits }, []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 2, Soft: 1}}},
		{[]string{"--device", "/dev/null:/dev/mine:r"}, func(s *specs.Spec) any { return s.Linux.Devices[0].Path }, "/dev/mine"},
		{[]string{"--device", "/dev/null:/dev/mine:r"}, func(s *specs.Spec) any { return s.Linux.Resources.Devices[0].Access }, "r"},
		{[]string{"--device", "/dev/null:rw"}, func(s *specs.Spec) any { return s.Linux.Resources.Devices[0].Access }, "rw"},
		{[]string{"--device", "/dev/null"}, func(s *specs.Spec) any { return s.Linux.Resources.Devices[0].Access }, "rwm"},
		{[]string{"--privileged"}, func(s *specs.Spec) any { return s.Linux.Resources.Devices[0].Type }, ""},
	}
	for _, test := range tests {
		s, _, err := spec(t, test.args...)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		if diff := cmp.Diff(test.want, test.of(s)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.args, diff)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--gpus", "all"}, `A plan cannot be made from the flag "--gpus". Did you mean "--cpus"?`},
		{[]string{"-X"}, `the flag "-X"`},
		{[]string{"-m", "much"}, "invalid"},
		{[]string{"--cpus", "1,5"}, "is no number of CPUs"},
		{[]string{"--cpus", "1", "--cpu-quota", "5"}, "--cpus cannot be given with --cpu-quota"},
		{[]string{"--cap-add", "flying"}, "there is no such capability"},
		{[]string{"-v", "a:b:c:d"}, "write SOURCE:DESTINATION[:OPTIONS]"},
		{[]string{"--mount", "type=npipe,dst=/a"}, `not from "npipe"`},
		{[]string{"--mount", "dst=/a,bind-recursive=no"}, `not from "bind-recursive"`},
		{[]string{"--tmpfs", "rel"}, "write DESTINATION[:OPTIONS]"},
		{[]string{"--sysctl", "a"}, "write NAME=VALUE"},
		{[]string{"--device", "/nowhere"}, "stat /nowhere: no such file"},
		{[]string{"--security-opt", "seccomp=mine.json"}, "a plan can be made from no-new-privileges"},
		{[]string{"--ulimit", "x=1"}, "invalid ulimit type"},
		{[]string{"--env-file", "/nowhere"}, "no such file"},
	} {
		_, _, err := spec(t, test.args...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v\nwant %s", test.args, err, test.want)
		}
	}
}

// TestNotes names what is known only when there is a container.
func TestNotes(t *testing.T) {
	_, notes, err := spec(t, "--user", "nginx:web", "--group-add", "wheel")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"nginx" is a name`, `"web" is a name`, `The group "wheel"`, "The volume at /vol"} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("%q is not in %q", want, notes)
		}
	}
}

func TestLabels(t *testing.T) {
	o, err := Parse([]string{"-l", "a=1", "--label", "b"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Labels()
	if diff := cmp.Diff(map[string]string{"a": "1", "b": ""}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
