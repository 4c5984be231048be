package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/runcvm/runcvm/conformance/harness"
)

// bundle is an OCI bundle that no engine knows of.
type bundle struct {
	t    *testing.T
	dir  string
	root string // --root of the runtime
}

// programUnderTest is the runtime's program for direct use.
func programUnderTest() harness.Runtime {
	if underTest() == "runc" {
		return harness.Runtime{Path: "runc"}
	}
	return harness.Installed()
}

// rootfs is an unpacked root file system, made once.
var rootfs struct {
	once sync.Once
	dir  string
	err  error
}

// newBundle makes a bundle as "runc spec" describes it, without a terminal,
// and lets change edit its configuration.
func newBundle(t *testing.T, change func(config map[string]any)) *bundle {
	t.Helper()
	rootfs.once.Do(func() {
		rootfs.dir = filepath.Join(suite.engine.Scratch, "rootfs")
		rootfs.err = os.Mkdir(rootfs.dir, 0o755)
		if rootfs.err == nil {
			out, err := exec.Command("tar", "-C", rootfs.dir, "-xf", harness.RootfsArchive()).CombinedOutput()
			if err != nil {
				rootfs.err = fmt.Errorf("tar: %w: %s", err, out)
			}
		}
	})
	if rootfs.err != nil {
		t.Fatal(rootfs.err)
	}
	b := &bundle{t: t, dir: t.TempDir(), root: t.TempDir()}
	t.Cleanup(func() {
		// By its own context: the test's has ended. Most have nothing to delete.
		_ = programUnderTest().Command(context.Background(), "--root", b.root, "delete", "--force", b.id()).Run()
	})
	if out, err := exec.Command("runc", "spec", "--bundle", b.dir).CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v: %s", err, out)
	}
	b.edit(func(config map[string]any) {
		config["root"] = map[string]any{"path": rootfs.dir, "readonly": false}
		config["process"].(map[string]any)["terminal"] = false
		if change != nil {
			change(config)
		}
	})
	return b
}

func (b *bundle) edit(change func(config map[string]any)) {
	b.t.Helper()
	path := filepath.Join(b.dir, "config.json")
	body, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(body, &config); err != nil {
		b.t.Fatal(err)
	}
	change(config)
	if body, err = json.MarshalIndent(config, "", "\t"); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// process sets fields of the configuration's process.
func process(fields map[string]any) func(map[string]any) {
	return func(config map[string]any) {
		for k, v := range fields {
			config["process"].(map[string]any)[k] = v
		}
	}
}

func (b *bundle) command(args ...string) *exec.Cmd {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), commandLimit)
	b.t.Cleanup(cancel)
	return programUnderTest().Command(ctx, append([]string{"--root", b.root}, args...)...)
}

// runcvm runs the runtime under test directly.
func (b *bundle) runcvm(args ...string) harness.Result {
	b.t.Helper()
	r, err := harness.Run(b.command(args...), strings.NewReader(""))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Stderr = withoutWarnings(r.Stderr)
	return r
}

// withoutWarnings leaves out what the runtime says of the host, such as that
// KVM is of no use. With an engine in between, that goes to its log.
func withoutWarnings(stderr string) string {
	var rest strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "runcvm: warning: ") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

func (b *bundle) id() string { return filepath.Base(filepath.Dir(b.dir)) + filepath.Base(b.dir) }

func TestBundle(t *testing.T) {
	alone(t)
	b := newBundle(t, process(map[string]any{"args": []string{"sh", "-c", "echo out; echo err >&2; cat /proc/1/comm; exit 7"}}))
	before := content(t, filepath.Join(b.dir, "config.json"))
	want(t, b.runcvm("run", "--bundle", b.dir, b.id()), harness.Result{Stdout: "out\nsh\n", Stderr: "err\n", Code: 7})
	equal(t, "config.json afterwards", content(t, filepath.Join(b.dir, "config.json")), before)
	if out := b.runcvm("list", "--quiet").Stdout; underTest() == "runc" && out != "" {
		t.Errorf("left in the list: %s", out)
	}
}

// TestBundleAnnotation has a bundle ask for profiles, as engines without Docker's
// metadata do, and for what there is not.
func TestBundleAnnotation(t *testing.T) {
	vmOnly(t)
	alone(t)
	b := newBundle(t, process(map[string]any{"args": []string{"grep", "-o", "slab_nomerge", "/proc/cmdline"}}))
	annotate := func(name, value string) {
		b.edit(func(config map[string]any) { config["annotations"] = map[string]string{name: value} })
	}
	annotate("runcvm.profile", "secure")
	want(t, b.runcvm("run", "--bundle", b.dir, b.id()), harness.Result{Stdout: "slab_nomerge\n"})
	annotate("runcvm.profil", "secure")
	if r := b.runcvm("run", "--bundle", b.dir, b.id()); r.Code == 0 || !strings.Contains(r.Stderr, "runcvm.profile") {
		t.Errorf("an unknown annotation: %+v", r)
	}
}

func TestBundleOnATerminal(t *testing.T) {
	alone(t)
	b := newBundle(t, process(map[string]any{
		"terminal": true,
		"args":     []string{"sh", "-c", sizeScript("33 111", "44 122") + "exit 3"},
	}))
	cmd := b.command("run", "--bundle", b.dir, b.id())
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 111})
	if err != nil {
		t.Fatal(err)
	}
	term := newTerminal(t, file, cmd)
	term.expect("size-is-33x111\r\n")
	term.resize(44, 122)
	term.expect("size-is-44x122\r\n")
	equal(t, "exit code", term.code(), 3)
}

// TestBundleVerbs goes the way of an engine: create, state, start, exec, kill,
// delete.
func TestBundleVerbs(t *testing.T) {
	e := alone(t)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, process(map[string]any{"args": []string{"sleep", "infinity"}}))
	id := b.id()
	status := func() string {
		var state struct{ Status, Bundle string }
		if err := json.Unmarshal([]byte(must(t, b.runcvm("state", id))), &state); err != nil {
			t.Fatal(err)
		}
		equal(t, "bundle in state", state.Bundle, b.dir)
		return state.Status
	}
	// A detached create hands its standard streams to the container: files, not
	// pipes, or their readers would wait for its end.
	out, err := os.Create(filepath.Join(b.root, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	create := b.command("create", "--bundle", b.dir, "--pid-file", filepath.Join(b.root, "pid"), id)
	create.Stdout, create.Stderr = out, out
	if err := create.Run(); err != nil {
		t.Fatalf("create: %v: %s", err, content(t, out.Name()))
	}
	equal(t, "status after create", status(), "created")
	must(t, b.runcvm("start", id))
	equal(t, "status after start", status(), "running")
	want(t, b.runcvm("exec", id, "sh", "-c", "echo exec; exit 5"), harness.Result{Stdout: "exec\n", Code: 5})
	must(t, b.runcvm("kill", id, "KILL"))
	eventually(t, "stopped", func() bool { return status() == "stopped" })
	must(t, b.runcvm("delete", id))
	if r := b.runcvm("state", id); r.Code == 0 {
		t.Errorf("state after delete: %+v", r)
	}
	nothingLeft(t, before)
}

// TestBundleReaderGone ends the reader of the output first, as a pipe into
// "head -1" does.
func TestBundleReaderGone(t *testing.T) {
	alone(t)
	b := newBundle(t, process(map[string]any{"args": []string{"yes"}}))
	cmd := b.command("run", "--bundle", b.dir, b.id())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 2)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "y\n" {
		t.Errorf("read %q, %v", line, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	// Which of the signal and the write's error ends it depends on the runtime.
	if err := cmd.Wait(); err == nil || b.t.Context().Err() != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestBundleSignals sends a signal to a run in the foreground: it reaches the
// entrypoint, and the run ends with the entrypoint and leaves nothing.
func TestBundleSignals(t *testing.T) {
	e := alone(t)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, process(map[string]any{
		"args": []string{"sh", "-c", "trap 'echo term; exit 4' TERM; echo up; while :; do sleep 0.1; done"},
	}))
	cmd := b.command("run", "--bundle", b.dir, b.id())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "up\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil || string(rest) != "term\n" {
		t.Errorf("read %q, %v", rest, err)
	}
	_ = cmd.Wait()
	equal(t, "exit code", cmd.ProcessState.ExitCode(), 4)
	nothingLeft(t, before)
}

func TestBundleExecWhilePaused(t *testing.T) {
	alone(t)
	b := newBundle(t, process(map[string]any{"args": []string{"sleep", "infinity"}}))
	id := b.id()
	// A detached run hands its standard streams to the container.
	run := b.command("run", "--detach", "--bundle", b.dir, id)
	if err := run.Run(); err != nil {
		t.Fatal(err)
	}
	want(t, b.runcvm("exec", id, "echo", "before"), harness.Result{Stdout: "before\n"})
	must(t, b.runcvm("pause", id))
	r := b.runcvm("exec", id, "touch", "/run/paused")
	if r.Code == 0 || !strings.Contains(r.Stderr, "cannot exec in a paused container") {
		t.Errorf("exec in a paused container: %+v", r)
	}
	must(t, b.runcvm("resume", id))
	want(t, b.runcvm("exec", id, "sh", "-c", "ls /run/paused 2>/dev/null; echo after"), harness.Result{Stdout: "after\n"})
}

func TestUnknownVerb(t *testing.T) {
	alone(t)
	b := newBundle(t, nil)
	if r := b.runcvm("nosuch", "x"); r.Code == 0 {
		t.Errorf("an unknown verb succeeded: %+v", r)
	}
}
