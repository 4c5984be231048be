package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// onTerm is a shell that ends with code 3 when it is asked to.
const onTerm = "trap 'echo got-term; exit 3' TERM; echo ready; while :; do sleep 0.2; done"

func TestStopLetsTheTrapRun(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c", onTerm)
	c.logged("ready")
	must(t, docker(t, "stop", "--time", "30", c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "3")
	want(t, c.logs(), harness.Result{Stdout: "ready\ngot-term\n"})
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	start(t)
	// As PID 1 sleep ignores SIGTERM: it has no handler (pid_namespaces(7)).
	c := background(t, image, "sleep", "infinity")
	before := time.Now()
	must(t, docker(t, "stop", "--time", "2", c.name))
	if took := time.Since(before); took < 2*time.Second || took > 20*time.Second {
		t.Errorf("stop --time 2 took %s", took)
	}
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "137")
	want(t, c.logs(), harness.Result{})
}

func TestStopImmediatelyAfterRun(t *testing.T) {
	start(t)
	c := background(t, "--init", image, "sleep", "infinity")
	must(t, docker(t, "stop", "--time", "30", c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "143")
}

func TestStopSignalOfTheImage(t *testing.T) {
	e := start(t)
	tag := "conformance:stopsignal"
	if err := e.BuildImage(t.Context(), tag, "FROM "+image+"\nSTOPSIGNAL SIGUSR2\n", ""); err != nil {
		t.Fatal(err)
	}
	c := background(t, tag, "sh", "-c", "trap 'echo usr2; exit 12' USR2; echo ready; while :; do sleep 0.2; done")
	c.logged("ready")
	must(t, docker(t, "stop", "--time", "30", c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "12")
}

func TestKillSendsTheSignal(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c",
		"trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'exit 5' WINCH; echo ready; while :; do sleep 0.2; done")
	c.logged("ready")
	must(t, docker(t, "kill", "-s", "USR1", c.name))
	c.logged("usr1")
	must(t, docker(t, "kill", "-s", "HUP", c.name))
	c.logged("hup")
	must(t, docker(t, "kill", "-s", "WINCH", c.name))
	equal(t, "exit code", c.wait(), "5")
}

func TestKill(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	must(t, docker(t, "kill", c.name))
	equal(t, "exit code", c.wait(), "137")
	want(t, c.logs(), harness.Result{})
}

func TestRestartKeepsTheFileSystem(t *testing.T) {
	start(t)
	c := background(t, "--init", image, "sh", "-c", "echo run >> /count; cat /count; sleep infinity")
	c.logged("run")
	must(t, docker(t, "restart", "--time", "10", c.name))
	eventually(t, "three lines in the log", func() bool { return c.logs().Stdout == "run\nrun\nrun\n" })
	want(t, c.exec("cat", "/count"), harness.Result{Stdout: "run\nrun\n"})
}

func TestStartAttached(t *testing.T) {
	start(t)
	name := newName(t)
	must(t, docker(t, "create", "--name", name, "--runtime", underTest(), "-i", image, "sh", "-c", "cat; exit 6"))
	for range 2 {
		r := dockerIn(t, strings.NewReader("in\n"), "start", "--attach", "--interactive", name)
		want(t, r, harness.Result{Stdout: "in\n", Code: 6})
	}
}

func TestWaitReturnsTheExitCode(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c", "exit 44")
	equal(t, "docker wait", c.wait(), "44")
}

func TestRestartPolicy(t *testing.T) {
	start(t)
	c := background(t, "--restart", "on-failure:1", image, "sh", "-c", "echo again; exit 1")
	eventually(t, "one restart and the end", func() bool {
		return c.inspect("{{.RestartCount}} {{.State.Status}}") == "1 exited"
	})
	want(t, c.logs(), harness.Result{Stdout: "again\nagain\n"})
}

func TestRemoveByForce(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	must(t, docker(t, "rm", "--force", c.name))
	if r := docker(t, "inspect", c.name); r.Code == 0 {
		t.Error("the container is still there")
	}
}

func TestPause(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c", "while :; do date +%s > /run/now.new; mv /run/now.new /run/now; sleep 0.2; done")
	eventually(t, "the clock's file", func() bool { return c.exec("test", "-s", "/run/now").Code == 0 })
	must(t, docker(t, "pause", c.name))
	equal(t, "status", c.inspect("{{.State.Status}}"), "paused")
	r := c.exec("true")
	if r.Code == 0 || !strings.Contains(r.Stderr, "is paused") {
		t.Errorf("exec in a paused container: %+v", r)
	}
	must(t, docker(t, "unpause", c.name))
	before := must(t, c.exec("cat", "/run/now"))
	eventually(t, "the entrypoint goes on", func() bool { return must(t, c.exec("cat", "/run/now")) != before })
}

// TestClockAfterPause: the time of day goes on as outside, even from a clock that
// was wrong before, and the monotonic clock counts the pause, as it does for a
// container.
func TestClockAfterPause(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, "--cap-add", "SYS_TIME", image, "sleep", "infinity")
	seconds := func(command ...string) (s float64) {
		t.Helper()
		if _, err := fmt.Sscan(must(t, c.exec(command...)), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	uptime := func() float64 { return seconds("cat", "/proc/uptime") }
	now := func() float64 { return float64(time.Now().UnixNano()) / 1e9 }
	for name, prepare := range map[string]func(){
		"of a clock that is right": func() {},
		"of a clock that is late":  func() { must(t, c.exec("date", "--set", "-1 hour")) },
	} {
		prepare()
		up := uptime()
		must(t, docker(t, "pause", c.name))
		paused := time.Now()
		eventually(t, "six seconds of a pause", func() bool { return time.Since(paused) > 6*time.Second })
		must(t, docker(t, "unpause", c.name))
		before := now()
		guest := seconds("date", "+%s.%N")
		after := now()
		if guest < before-1 || guest > after+1 {
			t.Errorf("after a pause %s: the guest's time is %.3f, the host's %.3f to %.3f", name, guest, before, after)
		}
		if counted := uptime() - up; counted < 6 || counted > time.Since(paused).Seconds()+30 {
			t.Errorf("after a pause %s: the guest's uptime grew by %.3f s", name, counted)
		}
	}
}

func TestInitOfDocker(t *testing.T) {
	start(t)
	want(t, run(t, "--init", image, "sh", "-c", "cat /proc/1/comm; exit 5"), harness.Result{Stdout: "docker-init\n", Code: 5})
}

func TestHealthcheck(t *testing.T) {
	start(t)
	c := background(t, "--health-cmd", "test -e /run/fine && echo fine", "--health-interval", "1s", "--health-retries", "200",
		"--health-timeout", "30s", image, "sh", "-c", "touch /run/fine; sleep infinity")
	eventually(t, "healthy", func() bool { return c.inspect("{{.State.Health.Status}}") == "healthy" })
	equal(t, "first probe", c.inspect("{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}"), "0 fine")
}

func TestCopyInAndOut(t *testing.T) {
	start(t)
	c := background(t, image, "sleep", "infinity")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("from the host\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	must(t, docker(t, "cp", filepath.Join(dir, "in"), c.name+":/srv/in"))
	want(t, c.exec("sh", "-c", "cat /srv/in; stat -c %a /srv/in"), harness.Result{Stdout: "from the host\n640\n"})
	must(t, c.exec("sh", "-c", "echo from the guest > /srv/out"))
	must(t, docker(t, "cp", c.name+":/srv/out", filepath.Join(dir, "out")))
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil || string(got) != "from the guest\n" {
		t.Errorf("copied out: %q, %v", got, err)
	}
}

func TestCommit(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c", "echo kept > /kept; sync")
	c.wait()
	tag := "conformance:" + c.name
	must(t, docker(t, "commit", c.name, tag))
	want(t, run(t, tag, "cat", "/kept"), harness.Result{Stdout: "kept\n"})
}

func TestWrittenDataOutlivesAKill(t *testing.T) {
	start(t)
	c := background(t, image, "sh", "-c", "echo data > /srv/data; sync; echo written; sleep infinity")
	c.logged("written")
	must(t, docker(t, "kill", c.name))
	c.wait()
	must(t, docker(t, "cp", c.name+":/srv/data", filepath.Join(t.TempDir(), "data")))
}
