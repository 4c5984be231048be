package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/internal/testkit"
)

// lookCases are looked up in the tree of lookTree. An empty message means that
// there is no error.
var lookCases = []struct {
	args      string
	path, cwd string
	uid, gid  uint32
	code      int
	message   string
}{
	{args: "nosuch", code: 127, message: `exec: "nosuch": executable file not found in $PATH`},
	{args: "/nosuch", code: 127, message: `exec: "/nosuch": stat /nosuch: no such file or directory`},
	{args: "./nosuch", code: 127, message: `exec: "./nosuch": stat ./nosuch: no such file or directory`},
	{args: "sub/nosuch", code: 127, message: `exec: "sub/nosuch": stat sub/nosuch: no such file or directory`},
	{args: "/etc", code: 126, message: `exec: "/etc": permission denied`},
	{args: "/etc/", code: 126, message: `exec: "/etc/": permission denied`},
	{args: "etc", path: "/", code: 127, message: `exec: "etc": executable file not found in $PATH`},
	{args: "/bin/noexec", code: 126, message: `exec: "/bin/noexec": permission denied`},
	{args: "noexec", code: 127, message: `exec: "noexec": executable file not found in $PATH`},
	{args: "/bin/loop", code: 127, message: `exec: "/bin/loop": stat /bin/loop: too many levels of symbolic links`},
	{args: "/bin/dangling", code: 127, message: `exec: "/bin/dangling": stat /bin/dangling: no such file or directory`},
	{args: "/bin/prog/x", code: 127, message: `exec: "/bin/prog/x": stat /bin/prog/x: not a directory`},
	{args: "prog", path: ".:/bin", cwd: "/work", code: 126, message: `exec: "prog": cannot run executable found relative to current directory`},
	{args: "prog", path: "-", code: 127, message: `exec: "prog": executable file not found in $PATH`},
	{args: "/secret/prog", uid: 1000, gid: 1000, code: 126, message: `exec: "/secret/prog": stat /secret/prog: permission denied`},
	{args: "prog", path: "/secret", uid: 1000, gid: 1000, code: 127, message: `exec: "prog": executable file not found in $PATH`},
	{args: "/bin/rootonly", uid: 1000, gid: 1000, code: 126, message: `exec /bin/rootonly: permission denied`},
	{args: "rootonly", uid: 1000, gid: 1000, code: 126, message: `exec /bin/rootonly: permission denied`},
	{args: "", code: 127, message: `exec: "": executable file not found in $PATH`},
	{args: `q"uo\te`, code: 127, message: `exec: "q\"uo\\te": executable file not found in $PATH`},

	{args: "prog"},
	{args: "/bin/prog"},
	{args: "./prog", cwd: "/work"},
	{args: "work/prog"},
	{args: "../bin/prog", cwd: "/nocwd"},
	{args: "prog", path: "/bin/noexec:/nosuch:/bin"},
	{args: "/bin/rootonly", uid: 1000, gid: 50},
	{args: "/secret/prog", uid: 7, gid: 1000},
	{args: "/bin/badinterpreter"},
	{args: "/tmp/made-in-the-guest"},
	{args: "nosuch", path: "/bin:/tmp"},
}

func lookTree(t *testing.T) string {
	t.Helper()
	root := tree(t, map[string]string{
		"bin/prog": "x", "bin/noexec": "data", "bin/loop": "-> loop", "bin/dangling": "-> /nowhere",
		"bin/rootonly": "x", "bin/badinterpreter": "x", "work/prog": "x", "secret/prog": "x",
		"etc/": "", "tmp/": "", "proc/": "", "dev/": "",
	})
	for _, p := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
	}{{"bin/rootonly", 0o750, 0, 50}, {"secret", 0o700, 7, 7}} {
		path := filepath.Join(root, p.name)
		if err := errors.Join(os.Chown(path, p.uid, p.gid), os.Chmod(path, p.mode)); err != nil {
			t.Fatal(err)
		}
	}
	// t.TempDir is for its owner alone, as an image's root is not.
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func process(args, path, cwd string, uid, gid uint32) *specs.Process {
	if cwd == "" {
		cwd = "/"
	}
	p := &specs.Process{Args: []string{args}, Cwd: cwd, User: specs.User{UID: uid, GID: gid}}
	switch path {
	case "-":
	case "":
		p.Env = []string{"A=b", "PATH=/usr/bin:/bin"}
	default:
		p.Env = []string{"PATH=" + path}
	}
	return p
}

func TestLookPath(t *testing.T) {
	testkit.Require(t, testkit.Root) // files of several owners
	v, err := NewView("/", &specs.Spec{Root: &specs.Root{Path: lookTree(t)}, Mounts: []specs.Mount{tmpfs("/tmp")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range lookCases {
		err := LookPath(v, process(tc.args, tc.path, tc.cwd, tc.uid, tc.gid))
		var got ExecError
		if e := new(ExecError); errors.As(err, &e) {
			got = *e
		} else if err != nil {
			t.Errorf("%s: %v", tc.args, err)
		}
		if want := (ExecError{tc.code, tc.message}); got != want {
			t.Errorf("%q (PATH %q, cwd %q, user %d:%d):\n got %+v\nwant %+v", tc.args, tc.path, tc.cwd, tc.uid, tc.gid, got, want)
		}
	}
	if err := LookPath(v, &specs.Process{Cwd: "/"}); err == nil {
		t.Error("a process without arguments was taken")
	}
	p := process("/secret/prog", "", "", 1000, 1000)
	p.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_DAC_OVERRIDE"}}
	if err := LookPath(v, p); err != nil {
		t.Errorf("with CAP_DAC_OVERRIDE: %v", err)
	}
}

// The messages are those of the runc that is installed here.
func TestLookPathSaysWhatRuncSays(t *testing.T) {
	testkit.Require(t, testkit.Root, testkit.Runc)
	bundle := t.TempDir()
	spec := newRuncSpec(t, bundle, lookTree(t))
	for i, tc := range lookCases {
		if tc.message == "" {
			continue
		}
		spec.Process = process(tc.args, tc.path, tc.cwd, tc.uid, tc.gid)
		data, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		id := fmt.Sprintf("runcvm-lookpath-%d-%d", os.Getpid(), i)
		cmd := exec.CommandContext(ctx, "runc", "--root", filepath.Join(bundle, "state"), "run", "--bundle", bundle, id)
		out, err := cmd.CombinedOutput()
		cancel()
		if err == nil {
			t.Errorf("%q: runc ran it", tc.args)
			continue
		}
		if said := runcMessage(string(out)); said != tc.message {
			t.Errorf("%q:\nrunc says %s\nwe say    %s", tc.args, said, tc.message)
		}
	}
}

// runcMessage takes the message out of runc's log line.
func runcMessage(out string) string {
	quoted := regexp.MustCompile(`msg=("(?:[^"\\]|\\.)*")`).FindStringSubmatch(out)
	if quoted == nil {
		return out
	}
	var message string
	if err := json.Unmarshal([]byte(quoted[1]), &message); err != nil {
		return out
	}
	_, message, _ = strings.Cut(message, "unable to start container process: ")
	return message
}

func newRuncSpec(t *testing.T, bundle, root string) *specs.Spec {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "runc", "spec", "--bundle", bundle).CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	spec.Root = &specs.Root{Path: root}
	// No more than runc needs: the rest of its example wants mount points.
	spec.Mounts = []specs.Mount{{Type: "proc", Source: "proc", Destination: "/proc"}, tmpfs("/tmp"), tmpfs("/dev")}
	return &spec
}
