package conformance

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

func TestExecImmediatelyAfterRun(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	want(t, c.exec("echo", "at once"), harness.Result{Stdout: "at once\n"})
}

// TestExec has what one container shows to many execs.
func TestExec(t *testing.T) {
	start(t)
	c := background(t, "--env", "FROM_RUN=r", "--workdir", "/srv", "--tmpfs", "/scratch", image, "sleep", "infinity")
	const awkward = "a b 'c' \"d\" $e `f` \\ ü 漢\nsecond line"
	for name, k := range map[string]struct {
		args []string
		want harness.Result
	}{
		"streams and code": {
			[]string{"$", "sh", "-c", "echo o; echo e >&2; exit 7"},
			harness.Result{Stdout: "o\n", Stderr: "e\n", Code: 7},
		},
		"killed":             {[]string{"$", "sh", "-c", "kill -9 $$"}, harness.Result{Code: 137}},
		"ended by a signal":  {[]string{"$", "sh", "-c", "kill -TERM $$"}, harness.Result{Code: 143}},
		"workdir of run":     {[]string{"$", "pwd"}, harness.Result{Stdout: "/srv\n"}},
		"workdir":            {[]string{"--workdir", "/usr/lib", "$", "pwd"}, harness.Result{Stdout: "/usr/lib\n"}},
		"environment of run": {[]string{"$", "printenv", "FROM_RUN"}, harness.Result{Stdout: "r\n"}},
		"environment": {
			[]string{"--env", "X=" + awkward, "--env", "FROM_RUN=other", "$", "sh", "-c", `printf %s "$X"; printf '|%s' "$FROM_RUN"`},
			harness.Result{Stdout: awkward + "|other"},
		},
		"argument with a newline": {[]string{"$", "printf", "%s|", awkward, "", "z"}, harness.Result{Stdout: awkward + "||z|"}},
		"user by name": {
			[]string{"--user", "games", "$", "sh", "-c", "id -un; id -gn; echo $HOME"},
			harness.Result{Stdout: "games\ngames\n/usr/games\n"},
		},
		"user by number": {
			[]string{"--user", "1234:2345", "$", "sh", "-c", "id -u; id -g; echo $HOME"},
			harness.Result{Stdout: "1234\n2345\n/\n"},
		},
		"home of root":  {[]string{"$", "sh", "-c", "echo $HOME"}, harness.Result{Stdout: "/root\n"}},
		"PID namespace": {[]string{"$", "cat", "/proc/1/comm"}, harness.Result{Stdout: "sleep\n"}},
		"mounts of run": {[]string{"$", "sh", "-c", "grep -c ' /scratch tmpfs ' /proc/mounts"}, harness.Result{Stdout: "1\n"}},
		"hostname":      {[]string{"$", "sh", "-c", `[ "$(hostname)" = "$HOSTNAME" ] && cat /proc/self/comm`}, harness.Result{Stdout: "cat\n"}},
		"no stdin":      {[]string{"$", "wc", "-c"}, harness.Result{Stdout: "0\n"}},
		"writable stderr": {
			[]string{"--user", "1000:1000", "$", "sh", "-c", "echo e > /dev/stderr; echo o > /dev/stdout"},
			harness.Result{Stdout: "o\n", Stderr: "e\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &container{t: t, name: c.name}
			want(t, c.exec(k.args...), k.want)
		})
	}
	t.Run("1 MiB through stdin", func(t *testing.T) {
		c := &container{t: t, name: c.name}
		data := make([]byte, 1<<20)
		_, _ = rand.Read(data)
		r := c.execIn(bytes.NewReader(data), "-i", "$", "cat")
		must(t, r)
		equal(t, "sha256", sha256.Sum256([]byte(r.Stdout)), sha256.Sum256(data))
	})
	t.Run("detached", func(t *testing.T) {
		c := &container{t: t, name: c.name}
		want(t, c.exec("--detach", "$", "sh", "-c", "echo d > /scratch/detached; exec sleep 600"), harness.Result{})
		eventually(t, "the file that the detached exec writes", func() bool {
			return c.exec("cat", "/scratch/detached").Stdout == "d\n"
		})
	})
	t.Run("many at once", func(t *testing.T) {
		c := &container{t: t, name: c.name}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				n := fmt.Sprint(1000 + i)
				r := c.exec("sh", "-c", "seq 1 "+n+"; exit "+fmt.Sprint(i))
				if r.Code != i || r.Stdout != numbers(1000+i) {
					t.Errorf("exec %d: code %d, %s", i, r.Code, firstDifference(r.Stdout, numbers(1000+i)))
				}
			})
		}
		wg.Wait()
	})
	equal(t, "running at the end", c.inspect("{{.State.Running}}"), "true")
}

func TestExecOfWhatCannotRun(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	reference := backgroundOn(t, "runc", image, "sleep", "infinity")
	for command, message := range map[string]string{
		"nosuchcommand": `exec: "nosuchcommand": executable file not found in $PATH`,
		"/no/such":      `no such file or directory`,
		"/etc":          `exec: "/etc": permission denied`,
		"/etc/passwd":   `exec: "/etc/passwd": permission denied`,
	} {
		t.Run(command, func(t *testing.T) {
			got := (&container{t: t, name: c.name}).exec(command)
			if all := got.Stdout + got.Stderr; !strings.Contains(all, message) {
				t.Errorf("got %+v, want %q", got, message)
			}
			// Which of 126 and 127 it is depends on docker's version.
			equal(t, "exit code", got.Code, (&container{t: t, name: reference.name}).exec(command).Code)
		})
	}
}

func TestExecInAnEndedContainer(t *testing.T) {
	start(t)
	c := background(t, image, "true")
	c.wait()
	r := c.exec("true")
	if r.Code == 0 || !strings.Contains(r.Stderr, "is not running") {
		t.Errorf("got %+v", r)
	}
}

func TestExecEndsWithTheContainer(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	done := make(chan harness.Result)
	go func() { done <- c.exec("sh", "-c", "echo started > /run/started; sleep 600") }()
	eventually(t, "the exec runs", func() bool { return c.exec("test", "-e", "/run/started").Code == 0 })
	must(t, docker(t, "kill", c.name))
	equal(t, "exit code of the exec", (<-done).Code, 137)
}

// TestExecLeavesAProcessBehind has an exec start another process that writes
// when the exec has ended: its output arrives for as long as the engine reads
// it, and it is not killed for writing later.
func TestExecLeavesAProcessBehind(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	want(t, c.exec("sh", "-c", "(sleep 1; echo late; echo too >&2) & echo now; exit 5"),
		harness.Result{Stdout: "now\nlate\n", Stderr: "too\n", Code: 5})
	const script = "(sleep 5; /bin/echo unread && echo lives > /run/later) & exit 0"
	equal(t, "exit code", c.exec("sh", "-c", script).Code, 0)
	eventually(t, "the process that was left behind lives", func() bool {
		return c.exec("cat", "/run/later").Stdout == "lives\n"
	})
}
