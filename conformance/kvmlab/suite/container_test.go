package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// kernelVersion is that of the installation's default kernel.
func kernelVersion(t *testing.T) string {
	t.Helper()
	version, err := os.Readlink(filepath.Join(harness.Prefix(), "kernels/debian/latest"))
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestRun(t *testing.T) {
	onKVM(t)
	const script = `echo out; echo err >&2; uname -r
cat /sys/devices/system/clocksource/clocksource0/current_clocksource; exit 7`
	b := newBundle(t, "sh", "-c", script)
	got := b.run(strings.NewReader(""), "run", "--bundle", b.dir, "--timeline", result(t, "timeline.json"), b.id)
	equal(t, "result", got, harness.Result{Stdout: "out\n" + kernelVersion(t) + "\nkvm-clock\n", Stderr: "err\n", Code: 7})
	equal(t, "status afterwards", b.status(), "")
}

// TestExec has one machine for all that is done to a running one.
func TestExec(t *testing.T) {
	onKVM(t)
	b := newBundle(t, "sleep", "infinity")
	b.detach()
	equal(t, "status", b.status(), "running")

	t.Run("transport", func(t *testing.T) {
		equal(t, "transport", b.agent().Transport, "vsock")
		equal(t, "device", b.device(), "vsock")
		equal(t, "context id", b.agentRecord().ContextID, candidates(b.id)[0])
	})
	t.Run("hundred", func(t *testing.T) { testHundred(t, b) })
	t.Run("stream", func(t *testing.T) { testStream(t, b) })
	t.Run("kill", func(t *testing.T) {
		b.must("kill", b.id, "KILL")
		eventually(t, "stopped", func() bool { return b.status() == "stopped" })
		b.must("delete", b.id)
		equal(t, "status after delete", b.status(), "")
	})
}

// testHundred runs a hundred execs, two at a time: most of their time in the lab
// is the host's part, and it has two processors.
func testHundred(t *testing.T, b *bundle) {
	const workers, each = 2, 50
	start := time.Now()
	var wait sync.WaitGroup
	for w := range workers {
		commands := make([]*exec.Cmd, each)
		for i := range commands {
			commands[i] = b.command("exec", b.id, "sh", "-c", fmt.Sprintf("echo %d; exit %d", w*each+i, w*each+i))
		}
		wait.Go(func() {
			for i, cmd := range commands {
				n := w*each + i
				want := harness.Result{Stdout: fmt.Sprintln(n), Code: n}
				if got, err := harness.Run(cmd, strings.NewReader("")); err != nil || got != want {
					t.Errorf("exec %d: %+v, %v", n, got, err)
					return
				}
			}
		})
	}
	wait.Wait()
	t.Logf("a hundred execs took %s", time.Since(start).Round(time.Millisecond))
}

// testStream sends 64 MiB through an exec's input and back through its output
// at the same time.
func testStream(t *testing.T, b *bundle) {
	const size = 64 << 20
	sent, received := sha256.New(), sha256.New()
	source := io.TeeReader(io.LimitReader(rand.New(rand.NewSource(1)), size), sent)
	in, out := b.command("exec", b.id, "cat"), &counter{w: received}
	in.Stdin, in.Stdout = source, out
	start := time.Now()
	if err := in.Run(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	equal(t, "bytes back", out.n, int64(size))
	equal(t, "sha256 of what came back", hex.EncodeToString(received.Sum(nil)), hex.EncodeToString(sent.Sum(nil)))
	t.Logf("64 MiB in and out took %s: %.1f MiB/s each way", took.Round(time.Millisecond), 64/took.Seconds())
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	n int64 // bytes
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// TestStop ends a machine whose entrypoint obeys SIGTERM, with the exit code
// that it chose.
func TestStop(t *testing.T) {
	onKVM(t)
	b := newBundle(t, "sh", "-c", "trap 'echo stopping; exit 9' TERM; echo ready; while :; do sleep 1 & wait $!; done")
	out := b.detach()
	said := func(text string) func() bool {
		return func() bool {
			body, err := os.ReadFile(out)
			return err == nil && strings.Contains(string(body), text)
		}
	}
	eventually(t, "ready", said("ready\n"))
	b.must("kill", b.id, "TERM")
	eventually(t, "stopping", said("stopping\n"))
	eventually(t, "stopped", func() bool { return b.status() == "stopped" })
	b.must("delete", b.id)
}

// TestTwoAtOnce boots two machines at the same time, by two kinds of firmware.
func TestTwoAtOnce(t *testing.T) {
	onKVM(t)
	bundles := []*bundle{newBundle(t, "sleep", "infinity"), newBundle(t, "sleep", "infinity")}
	bundles[1].profile("firmware {\n  type = \"qboot\"\n}")
	done := make(chan harness.Result, len(bundles))
	for _, b := range bundles {
		b.detach()
	}
	for i, vendor := range []string{"SeaBIOS\n", "qboot\n"} {
		equal(t, "the firmware's name", bundles[i].must("exec", bundles[i].id, "cat", "/sys/class/dmi/id/bios_vendor"), vendor)
	}
	for i, b := range bundles {
		cmd := b.command("exec", b.id, "sh", "-c", fmt.Sprintf("cat /proc/sys/kernel/random/boot_id; exit %d", i))
		go func() {
			r, err := harness.Run(cmd, strings.NewReader(""))
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
	}
	first, second := <-done, <-done
	equal(t, "sum of the exit codes", first.Code+second.Code, 1)
	if first.Stdout == second.Stdout || first.Stdout == "" {
		t.Errorf("the machines' boots are %q and %q", first.Stdout, second.Stdout)
	}
	for _, b := range bundles {
		b.must("delete", "--force", b.id)
	}
}
