package conformance

import (
	"os"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

func TestKernelIsTheGuests(t *testing.T) {
	vmOnly(t)
	start(t)
	host, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	got := must(t, run(t, image, "uname", "-r"))
	if got == string(host) || strings.Count(got, "\n") != 1 {
		t.Errorf("uname -r printed %q; the host's kernel is %q", got, host)
	}
	if _, err := os.Stat(harness.Prefix() + "/kernels/debian/" + strings.TrimSpace(got)); err != nil {
		t.Errorf("the guest runs a kernel that is not installed: %v", err)
	}
}

func TestEntrypointIsPID1(t *testing.T) {
	start(t)
	want(t, run(t, image, "cat", "/proc/1/comm"), harness.Result{Stdout: "cat\n"})
}

func TestDiffOfAFreshContainerIsEmpty(t *testing.T) {
	start(t)
	c := background(t, image, "true")
	equal(t, "exit code", c.wait(), "0")
	want(t, docker(t, "diff", c.name), harness.Result{})
}

func TestDiffShowsWhatTheContainerWrote(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c", "echo x > /new; rm /etc/issue; mkdir /srv/d")
	equal(t, "exit code", c.wait(), "0")
	got := strings.Fields(must(t, docker(t, "diff", c.name)))
	joined := " " + strings.Join(got, " ") + " "
	for _, change := range []string{" A /new ", " D /etc/issue ", " A /srv/d "} {
		if !strings.Contains(joined, change) {
			t.Errorf("docker diff lacks %q: %s", change, joined)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		command []string
		want    harness.Result
	}{
		"separate streams and 7": {
			[]string{"sh", "-c", "echo o; echo e >&2; exit 7"},
			harness.Result{Stdout: "o\n", Stderr: "e\n", Code: 7},
		},
		"killed by itself": {
			[]string{"sh", "-c", "sh -c 'kill -9 $$'; exit $?"},
			harness.Result{Code: 137, Stderr: "Killed\n"},
		},
		"255": {[]string{"sh", "-c", "exit 255"}, harness.Result{Code: 255}},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			want(t, run(t, append([]string{image}, c.command...)...), c.want)
		})
	}
}

// TestKillOfPID1 has the two meanings of a shell that kills itself: the kernel
// keeps the first process of a PID namespace from its own SIGKILL
// (pid_namespaces(7)), and docker's init is such a process in its stead.
func TestKillOfPID1(t *testing.T) {
	t.Run("as PID 1", func(t *testing.T) {
		start(t)
		want(t, same(t, image, "sh", "-c", "kill -9 $$; echo alive"), harness.Result{Stdout: "alive\n"})
	})
	t.Run("below init", func(t *testing.T) {
		start(t)
		want(t, run(t, "--init", image, "sh", "-c", "kill -9 $$"), harness.Result{Code: 137})
	})
}

func TestCommandThatCannotRun(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		code    int
		message string
	}{
		"unknown":             {"nosuchcommand", 127, `exec: "nosuchcommand": executable file not found in $PATH`},
		"unknown with a path": {"/no/such", 127, "no such file or directory"},
		"directory":           {"/etc", 126, `exec: "/etc": permission denied`},
		"not executable":      {"/etc/passwd", 126, `exec: "/etc/passwd": permission denied`},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			r := run(t, image, c.command)
			if r.Code != c.code || r.Stdout != "" || !strings.Contains(r.Stderr, c.message) {
				t.Errorf("got %+v, want code %d and %q", r, c.code, c.message)
			}
			if n := strings.Count(r.Stderr, "Error response"); n != 1 {
				t.Errorf("%d errors, want one: %s", n, r.Stderr)
			}
		})
	}
}
