package supervisor

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/testkit"
)

// lockedBuffer is a buffer that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// started is a process of a test.
type started struct {
	*process
	out, err lockedBuffer
	written  <-chan struct{}
}

// execIn starts a process with stdin.
func execIn(t *testing.T, g *guest, request api.Process, stdin string) *started {
	t.Helper()
	p, err := g.exec(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	s := &started{process: p}
	s.written = p.attach(strings.NewReader(stdin), &s.out, &s.err).ended()
	return s
}

// end waits for the process's end and all of its output.
func (s *started) end(t *testing.T) api.Exited {
	t.Helper()
	select {
	case exited, ok := <-s.exited:
		if !ok {
			t.Fatal("the guest has gone")
		}
		<-s.written
		return exited
	case <-time.After(20 * time.Second):
		t.Fatalf("the process did not end; stdout %q, stderr %q", s.out.String(), s.err.String())
	}
	return api.Exited{}
}

// entrypointOf starts an entrypoint that lives until it gets SIGTERM.
func entrypointOf(t *testing.T, g *guest) *started {
	t.Helper()
	s := execIn(t, g, api.Process{Init: true, Spec: shell(`trap "echo told; exit 5" TERM; echo up; while :; do sleep 0.05; done`)}, "")
	testkit.Eventually(t, 20*time.Second, func() error {
		if s.out.String() != "up\n" {
			return errors.New("the entrypoint is not up")
		}
		return nil
	})
	return s
}

func TestProcessesInTheGuest(t *testing.T) {
	g, _ := startGuest(t)
	entry := entrypointOf(t, g)

	t.Run("streams and code", func(t *testing.T) {
		p := execIn(t, g, api.Process{Spec: shell("cat; echo e >&2; exit 7")}, strings.Repeat("0123456789abcde\n", 1<<14))
		if diff := cmp.Diff(api.Exited{Code: 7, Output: [3]int64{1: 16 << 14, 2: 2}}, p.end(t)); diff != "" {
			t.Errorf("end (-want +got):\n%s", diff)
		}
		if out := p.out.String(); len(out) != 16<<14 || p.err.String() != "e\n" {
			t.Errorf("%d bytes on stdout, stderr %q", len(out), p.err.String())
		}
	})
	t.Run("no input", func(t *testing.T) {
		p := execIn(t, g, api.Process{Stdio: outputAlone, Spec: shell("wc -c; readlink /proc/self/fd/0")}, "unread")
		if exited := p.end(t); exited.Code != 0 || p.out.String() != "0\n/dev/null\n" {
			t.Errorf("code %d, stdout %q, stderr %q", exited.Code, p.out.String(), p.err.String())
		}
	})
	t.Run("a signal", func(t *testing.T) {
		p := execIn(t, g, api.Process{Spec: shell("exec sleep 100")}, "")
		if err := p.control(api.ProcessControl{Signal: int(syscall.SIGKILL)}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(api.Exited{Code: 137, Signal: 9}, p.end(t)); diff != "" {
			t.Errorf("end (-want +got):\n%s", diff)
		}
	})
	t.Run("abandoned", func(t *testing.T) {
		p := execIn(t, g, api.Process{Spec: shell("exec sleep 100")}, "")
		p.abandon()
		if got := p.end(t); got.Signal != int(syscall.SIGKILL) {
			t.Errorf("it ended by %+v", got)
		}
	})
	t.Run("no such program", func(t *testing.T) {
		request := api.Process{Spec: shell("")}
		request.Spec.Args = []string{"no-such-program"}
		_, err := g.exec(request)
		var start *startError
		if !errors.As(err, &start) || start.Code != 127 || !strings.Contains(err.Error(), "executable file not found in $PATH") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a second entrypoint", func(t *testing.T) {
		if _, err := g.exec(api.Process{Init: true, Spec: shell("true")}); err == nil {
			t.Error("the container was started twice")
		}
	})

	if err := entry.control(api.ProcessControl{Signal: int(syscall.SIGTERM)}); err != nil {
		t.Fatal(err)
	}
	if got := entry.end(t); got.Code != 5 || entry.out.String() != "up\ntold\n" {
		t.Errorf("the entrypoint ended with %+v, output %q", got, entry.out.String())
	}
	if _, err := g.exec(api.Process{Spec: shell("true")}); err == nil || !strings.Contains(err.Error(), "stopped container") {
		t.Errorf("exec after the entrypoint's end: %v", err)
	}
}

// TestGuestThatDies has everything that waits for the guest end with it.
func TestGuestThatDies(t *testing.T) {
	g, kill := startGuest(t)
	entry := entrypointOf(t, g)
	kill()
	select {
	case exited, ok := <-entry.exited:
		if ok {
			t.Errorf("a dead guest told of an end: %+v", exited)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody noticed")
	}
	<-entry.written
	if _, err := g.exec(api.Process{Spec: shell("true")}); err == nil {
		t.Error("a process was started in a dead guest")
	}
}

// TestSignalsWaitForTheEntrypoint has signals come before it has started.
func TestSignalsWaitForTheEntrypoint(t *testing.T) {
	g, _ := startGuest(t)
	var e entrypoint
	if err := e.signal(int(syscall.SIGUSR1)); err != nil || e.running() {
		t.Fatalf("%v, running %v", err, e.running())
	}
	p := execIn(t, g, api.Process{Init: true, Spec: shell(`trap "echo usr1; exit 3" USR1; while :; do sleep 0.05; done`)}, "")
	e.started(p.process)
	if got := p.end(t); got.Code != 3 || p.out.String() != "usr1\n" || !e.running() {
		t.Errorf("it ended with %+v, output %q", got, p.out.String())
	}
}
