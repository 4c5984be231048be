package agent

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

func TestExitCodes(t *testing.T) {
	c := startContainer(t)
	for _, test := range []struct {
		script string
		want   api.Exited
	}{
		{"exit 0", api.Exited{}},
		{"exit 7", api.Exited{Code: 7}},
		{"kill -9 $$", api.Exited{Code: 137, Signal: 9}},
		{"kill -TERM $$", api.Exited{Code: 143, Signal: 15}},
		// An orphan is not ours to wait for.
		{"(sleep 0.01; exit 3) & exit 4", api.Exited{Code: 4}},
	} {
		if _, got := c.run(shell(test.script), nil); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.script, got, test.want)
		}
	}
}

func TestStartFailures(t *testing.T) {
	c := startContainer(t)
	image := filepath.Join(c.share, api.RootDir)
	write(t, filepath.Join(image, "tmp/garbage"), "garbage", 0o755)
	write(t, filepath.Join(image, "tmp/plain"), "#!/bin/sh\n", 0o644)
	for _, test := range []struct {
		name string
		spec specs.Process
		want api.Failed
	}{
		{"not in PATH", specs.Process{Args: []string{"nope"}}, api.Failed{Code: 127, Message: `exec: "nope": executable file not found in $PATH`}},
		{"empty", specs.Process{Args: []string{""}}, api.Failed{Code: 127, Message: `exec: "": executable file not found in $PATH`}},
		{"missing", specs.Process{Args: []string{"/nope"}}, api.Failed{Code: 127, Message: `exec: "/nope": stat /nope: no such file or directory`}},
		{"below a file", specs.Process{Args: []string{"/tmp/plain/x"}}, api.Failed{Code: 127, Message: `exec: "/tmp/plain/x": stat /tmp/plain/x: not a directory`}},
		{"directory", specs.Process{Args: []string{"/etc"}}, api.Failed{Code: 126, Message: `exec: "/etc": permission denied`}},
		{"not executable", specs.Process{Args: []string{"/tmp/plain"}}, api.Failed{Code: 126, Message: `exec: "/tmp/plain": permission denied`}},
		{"no program", specs.Process{Args: []string{"/tmp/garbage"}}, api.Failed{Code: 1, Message: `exec /tmp/garbage: exec format error`}},
		{"no arguments", specs.Process{}, api.Failed{Code: 1, Message: "process args cannot be empty"}},
		{
			"no such directory",
			specs.Process{Args: []string{"true"}, Cwd: "/no/where"},
			api.Failed{Code: 1, Message: `chdir to cwd ("/no/where") set in config.json failed: no such file or directory`},
		},
		{
			"unknown limit",
			specs.Process{Args: []string{"true"}, Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_X"}}},
			api.Failed{Code: 1, Message: `"RLIMIT_X" is not a resource limit`},
		},
	} {
		r := c.start(false, test.spec, nil)
		if r.failed == nil {
			t.Errorf("%s: it started", test.name)
		} else if *r.failed != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, *r.failed, test.want)
		}
	}
}

func TestFirstProcess(t *testing.T) {
	c := newContainer(t)
	c.build(rootfs.Config{Mounts: defaultMounts})
	spec := shell(`echo $$; cat /proc/1/comm; pwd; exit 9`)
	spec.Cwd = "/made/for/it"
	r := c.start(true, spec, nil)
	if got := r.wait(); got.Code != 9 {
		t.Errorf("exited %+v", got)
	}
	if got, want := r.stdout.String(), "1\nsh\n/made/for/it\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if again := c.start(true, spec, nil); again.failed == nil {
		t.Error("a second first process started")
	}
	late := c.start(false, spec, nil)
	if late.failed == nil || late.failed.Message != "cannot exec in a stopped container" {
		t.Errorf("after the end: %+v", late.failed)
	}
}

func TestFirstProcessFails(t *testing.T) {
	c := newContainer(t)
	c.build(rootfs.Config{Mounts: defaultMounts})
	r := c.start(true, specs.Process{Args: []string{"nope"}}, nil)
	if r.failed == nil || r.failed.Code != 127 {
		t.Errorf("%+v, want code 127", r.failed)
	}
}

func TestEndOfFirstProcessEndsAll(t *testing.T) {
	c := newContainer(t)
	c.build(rootfs.Config{Mounts: defaultMounts})
	first := c.start(true, specs.Process{Args: []string{"sleep", "infinity"}}, nil)
	other := c.start(false, shell("echo up; sleep infinity"), nil)
	eventually(t, "the other process runs", func() bool { return other.stdout.String() == "up\n" })
	first.send(api.ProcessControl{Signal: 9})
	for _, r := range []*running{first, other} {
		if got := r.wait(); got != (api.Exited{Code: 137, Signal: 9}) {
			t.Errorf("exited %+v", got)
		}
	}
}

func TestStdioIsSeparateAndComplete(t *testing.T) {
	c := startContainer(t)
	r, exited := c.run(shell("echo o; echo e >&2; exit 7"), nil)
	if exited.Code != 7 || r.stdout.String() != "o\n" || r.stderr.String() != "e\n" {
		t.Errorf("exited %+v, stdout %q, stderr %q", exited, &r.stdout, &r.stderr)
	}

	random := make([]byte, 1<<20)
	_, _ = rand.Read(random)
	r, _ = c.run(specs.Process{Args: []string{"cat"}}, random)
	if !bytes.Equal([]byte(r.stdout.String()), random) {
		t.Errorf("cat returned %d bytes that differ from the %d sent", len(r.stdout.String()), len(random))
	}

	var want strings.Builder
	for i := range 100000 {
		fmt.Fprintln(&want, i+1)
	}
	r, _ = c.run(specs.Process{Args: []string{"seq", "1", "100000"}}, nil)
	if r.stdout.String() != want.String() {
		t.Errorf("seq: %d bytes that differ from the %d expected", len(r.stdout.String()), want.Len())
	}
}

func TestProcessThatStopsReading(t *testing.T) {
	c := startContainer(t)
	// More than the pipe and the window hold.
	r, exited := c.run(specs.Process{Args: []string{"head", "-c", "1"}}, bytes.Repeat([]byte("x"), 4<<20))
	if exited.Code != 0 || r.stdout.String() != "x" {
		t.Errorf("exited %+v, stdout %q", exited, &r.stdout)
	}
}

func TestOutputHeldOpenByAnother(t *testing.T) {
	c := startContainer(t)
	r, exited := c.run(shell("sleep infinity & echo done; exit 5"), nil)
	if exited.Code != 5 || r.stdout.String() != "done\n" {
		t.Errorf("exited %+v, stdout %q", exited, &r.stdout)
	}
	// One that never stops writing does not keep it, either.
	if _, exited := c.run(shell("yes & exit 6"), nil); exited.Code != 6 {
		t.Errorf("exited %+v", exited)
	}
}

// TestOutputAfterTheEnd has a process leave another one behind, which writes
// when it has ended: the bytes arrive, and the writer lives.
func TestOutputAfterTheEnd(t *testing.T) {
	c := startContainer(t)
	fifo := filepath.Join(c.share, api.RootDir, "tmp/go")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, exited := c.run(shell("(read x < /tmp/go; echo late; echo too >&2) & echo now; exit 5"), nil)
	if exited.Code != 5 || r.stdout.String() != "now\n" {
		t.Errorf("exited %+v, stdout %q", exited, &r.stdout)
	}
	write(t, fifo, "go\n", 0o600)
	r.copied.Wait() // the streams end with the last writer
	if r.stdout.String() != "now\nlate\n" || r.stderr.String() != "too\n" {
		t.Errorf("stdout %q, stderr %q", &r.stdout, &r.stderr)
	}
}

// TestReaderGone has the reader of the output go away: the writer is told, as
// by a pipe.
func TestReaderGone(t *testing.T) {
	c := startContainer(t)
	r := c.start(false, specs.Process{Args: []string{"yes"}}, []byte{})
	eventually(t, "output", func() bool { return r.stdout.size() > 0 })
	if err := r.output.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != (api.Exited{Code: 141, Signal: int(unix.SIGPIPE)}) {
		t.Errorf("exited %+v, want SIGPIPE", got)
	}
}

func TestSignals(t *testing.T) {
	c := startContainer(t)
	r := c.start(false, shell(`trap 'echo usr1; exit 42' USR1; echo ready; while :; do sleep 0.01; done`), nil)
	eventually(t, "the trap is set", func() bool { return r.stdout.String() == "ready\n" })
	r.send(api.ProcessControl{Signal: int(unix.SIGUSR1)})
	if got := r.wait(); got.Code != 42 {
		t.Errorf("exited %+v", got)
	}
	if got := r.stdout.String(); got != "ready\nusr1\n" {
		t.Errorf("stdout %q", got)
	}
}

func TestTerminal(t *testing.T) {
	c := startContainer(t)
	spec := shell(`tty; stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.01; done`)
	spec.Terminal = true
	spec.ConsoleSize = &specs.Box{Height: 33, Width: 101}
	r := c.start(false, spec, nil)
	eventually(t, "the terminal is ready", func() bool { return strings.HasSuffix(r.stdout.String(), "ready\r\n") })
	r.send(api.ProcessControl{Resize: &api.Window{Rows: 50, Cols: 60}})
	if got := r.wait(); got.Code != 3 {
		t.Errorf("exited %+v", got)
	}
	if got, want := r.stdout.String(), "/dev/pts/0\r\n33 101\r\nready\r\n50 60\r\n"; got != want {
		t.Errorf("terminal %q, want %q", got, want)
	}
}

func TestTerminalInput(t *testing.T) {
	c := newContainer(t)
	c.build(rootfs.Config{Mounts: defaultMounts})
	spec := shell(`stty -echo; echo ready; read line; echo "got $line" > /dev/console; exec cat`)
	spec.Terminal = true
	r := c.start(true, spec, nil)
	eventually(t, "the shell is ready", func() bool { return r.stdout.String() == "ready\r\n" })
	if _, err := r.stdin.Write([]byte("a line\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line comes back", func() bool { return strings.HasSuffix(r.stdout.String(), "got a line\r\n") })
	if _, err := r.stdin.Write([]byte("another\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "cat has taken the shell's place", func() bool { return strings.HasSuffix(r.stdout.String(), "another\r\n") })
	// ^C reaches the foreground process.
	if _, err := r.stdin.Write([]byte("\x03")); err != nil {
		t.Fatal(err)
	}
	// As PID 1 of its namespace, cat has no handler and ignores it.
	if _, err := r.stdin.Write([]byte("\x04")); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got.Code != 0 {
		t.Errorf("exited %+v", got)
	}
}

func TestConcurrentProcesses(t *testing.T) {
	c := startContainer(t)
	var all []*running
	for i := range 12 {
		all = append(all, c.start(false, shell(fmt.Sprintf("echo %d; exit %d", i, i)), nil))
	}
	for i, r := range all {
		if got := r.wait(); got.Code != i || r.stdout.String() != fmt.Sprintf("%d\n", i) {
			t.Errorf("process %d: %+v, %q", i, got, &r.stdout)
		}
	}
	if left := openFiles(t); left > 200 {
		t.Errorf("%d descriptors are open", left)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestSignalRightAfterTheStart sends a signal before the entrypoint has had the
// time to set its handler, which the kernel would drop on a PID 1.
func TestSignalRightAfterTheStart(t *testing.T) {
	c := newContainer(t)
	c.build(rootfs.Config{Mounts: defaultMounts})
	p := c.start(true, shell("read go; trap 'exit 9' TERM; while :; do sleep 0.1; done"), nil)
	p.send(api.ProcessControl{Signal: int(unix.SIGTERM)})
	if _, err := p.stdin.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	if got := p.wait(); got.Code != 9 {
		t.Errorf("%+v, want the trap's code 9", got)
	}
}
