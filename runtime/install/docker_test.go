package install

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/internal/testkit"
)

// registration is an Options with a prefix of its own and no dockerd.
func registration(t *testing.T, config string) *Options {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "prefix")
	if err := preparePrefix(prefix); err != nil {
		t.Fatal(err)
	}
	return &Options{Prefix: prefix, Docker: Docker{Config: config, PIDFile: filepath.Join(prefix, "no.pid")}}
}

func (o *Options) takeBack(t *testing.T) {
	t.Helper()
	r, err := readRecord(o.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	u := UninstallOptions{Prefix: o.Prefix, Docker: o.Docker}
	if err := u.unregister(&printer{w: io.Discard}, r.Docker); err != nil {
		t.Fatal(err)
	}
}

func TestRegisterAndTakeBack(t *testing.T) {
	for name, before := range map[string]string{
		"Docker's defaults": "",
		"odd formatting":    "{ \"debug\":true,\n\n\t\"log-opts\": {\"max-size\": \"10m\"} }",
		"another runtime":   `{"runtimes": {"runsc": {"path": "/usr/bin/runsc"}}, "n": 12345678901234567890}` + "\n",
		"white space":       "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "docker")
			config := filepath.Join(dir, "daemon.json")
			if before != "" {
				write(t, config, before)
				if err := os.Chmod(config, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o := registration(t, config)
			if err := o.register(&printer{w: io.Discard}); err != nil {
				t.Fatal(err)
			}
			if st, err := os.Stat(config); err != nil || before != "" && st.Mode().Perm() != 0o600 {
				t.Errorf("the mode became %v, %v", st.Mode(), err)
			}
			once := snapshot(t, dir, o.Prefix)
			if err := o.register(&printer{w: io.Discard}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(once, snapshot(t, dir, o.Prefix)); d != "" {
				t.Errorf("the second registration changed (-before +after):\n%s", d)
			}
			o.takeBack(t)
			after, err := os.ReadFile(config)
			if before == "" {
				if _, err := os.Stat(dir); !os.IsNotExist(err) {
					t.Errorf("Docker's folder, which was not there before, is still there: %v", err)
				}
				return
			}
			if err != nil || string(after) != before {
				t.Errorf("daemon.json became %q, %v; want what it was", after, err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("left in Docker's folder: %v", entries)
			}
			again := snapshot(t, dir)
			o.takeBack(t)
			if d := cmp.Diff(again, snapshot(t, dir)); d != "" {
				t.Errorf("the second removal changed (-before +after):\n%s", d)
			}
		})
	}
}

// What others change between the two stays.
func TestTakeBackKeepsLaterChanges(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	o := registration(t, config)
	if err := o.register(&printer{w: io.Discard}); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(o.Prefix, ProgramPath)
	write(t, config, fmt.Sprintf(`{"debug": true, "runtimes": {"runcvm": {"path": %q}}}`, program))
	o.takeBack(t)
	if got, err := os.ReadFile(config); err != nil || string(bytes.Join(bytes.Fields(got), nil)) != `{"debug":true}` {
		t.Errorf("%q, %v", got, err)
	}
}

// The entry of an installation that another one replaced does not come back.
func TestTakeBackAfterReplacement(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	write(t, config, "{}")
	first, second := registration(t, config), registration(t, config)
	for _, o := range []*Options{first, second} {
		if err := o.register(&printer{w: io.Discard}); err != nil {
			t.Fatal(err)
		}
	}
	first.takeBack(t)
	if got, _ := os.ReadFile(config); !strings.Contains(string(got), second.Prefix) {
		t.Errorf("the second registration was taken back with the first: %s", got)
	}
	second.takeBack(t)
	if got, _ := os.ReadFile(config); strings.TrimSpace(string(got)) != "{}" {
		t.Errorf("left in daemon.json: %s", got)
	}
}

func TestRegisterFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real.json"), "{}")
	if err := os.Symlink("real.json", filepath.Join(dir, "daemon.json")); err != nil {
		t.Fatal(err)
	}
	o := registration(t, filepath.Join(dir, "daemon.json"))
	if err := o.register(&printer{w: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Readlink(filepath.Join(dir, "daemon.json")); err != nil || got != "real.json" {
		t.Errorf("the link became %q, %v", got, err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "real.json")); !strings.Contains(string(got), RuntimeName) {
		t.Errorf("the file holds %q", got)
	}
}

func TestRegisterRefusesInvalidConfig(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	write(t, config, "{\n  \"debug\": true,\n}\n")
	o := registration(t, config)
	before := snapshot(t, filepath.Dir(config))
	for _, f := range []func() error{
		func() error { return o.register(&printer{w: io.Discard}) },
		o.Docker.check,
	} {
		err := f()
		if err == nil || !strings.Contains(err.Error(), config) || !strings.Contains(err.Error(), "line 3, column 1") {
			t.Errorf("error %v, want one with the file and the place", err)
		}
	}
	if d := cmp.Diff(before, snapshot(t, filepath.Dir(config))); d != "" {
		t.Errorf("something changed (-before +after):\n%s", d)
	}
}

func TestTakeBackRefusesDefaultRuntime(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	write(t, config, `{"default-runtime": "runcvm"}`)
	o := registration(t, config)
	if err := o.register(&printer{w: io.Discard}); err != nil {
		t.Fatal(err)
	}
	u := UninstallOptions{Prefix: o.Prefix, Docker: o.Docker}
	if err := u.unregister(&printer{w: io.Discard}, nil); err == nil || !strings.Contains(err.Error(), "default-runtime") {
		t.Errorf("error %v", err)
	}
}

func TestReload(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "docker.pid")
	start := func(name string) *exec.Cmd {
		sleep, err := os.ReadFile("/bin/sleep")
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(program, sleep, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The kernel renames a process a little after its program has begun.
		testkit.Eventually(t, 10*time.Second, func() error {
			comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
			if err == nil && strings.TrimSpace(string(comm)) != name {
				err = fmt.Errorf("the process is called %q", comm)
			}
			return err
		})
		write(t, pidFile, fmt.Sprintf("%d\n", cmd.Process.Pid))
		return cmd
	}
	// Under nohup(1) the signal is ignored, also by children, unless it is handled.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	dockerd := start("dockerd")
	if _, err := reload(&printer{w: io.Discard}, pidFile); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(10*time.Second, func() { _ = dockerd.Process.Kill() })
	defer kill.Stop()
	_ = dockerd.Wait()
	if status := dockerd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGHUP {
		t.Errorf("dockerd ended with %v, want SIGHUP", status.Signal())
	}
	// The number is another process's by now.
	other := start("other")
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	var out bytes.Buffer
	if _, err := reload(&printer{w: &out}, pidFile); err != nil || out.Len() != 0 {
		t.Errorf("%q, %v; want silence", out.String(), err)
	}
	write(t, pidFile, "garbage")
	if _, err := reload(&printer{w: io.Discard}, pidFile); err == nil {
		t.Error("no error for a pid file without a number")
	}
	if _, err := reload(&printer{w: io.Discard}, pidFile+".missing"); err != nil {
		t.Errorf("a missing pid file: %v", err)
	}
}
