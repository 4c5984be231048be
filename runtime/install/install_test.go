package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
	"github.com/runcvm/runcvm/kernels"
)

func TestCheckPrefix(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "others/file"), "")
	write(t, filepath.Join(dir, "ours/install.json"), `{"format": 1}`)
	write(t, filepath.Join(dir, "newer/install.json"), `{"format": 2}`)
	write(t, filepath.Join(dir, "damaged/install.json"), `{`)
	write(t, filepath.Join(dir, "file"), "")
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ prefix, says string }{
		{"/", "root"},
		{"//", "root"},
		{"", "absolute"},
		{"opt/runcvm", "absolute"},
		{"/opt/../opt/runcvm", "/opt/runcvm"},
		{dir + "/others", "other files"},
		{dir + "/newer", "format 2"},
		{dir + "/damaged", "damaged"},
		{dir + "/file", "file"},
		{"/usr", "other files"},
		{dir + "/ours", ""},
		{dir + "/empty", ""},
		{dir + "/missing/below", ""},
	} {
		err := checkPrefix(tt.prefix)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: error %v, want one that says %q", tt.prefix, err, tt.says)
		}
	}
}

func TestReadTools(t *testing.T) {
	root := t.TempDir()
	if _, err := ReadTools(root); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "runcvm install") {
		t.Errorf("error %v for an empty folder", err)
	}
	name := filepath.Join(root, plan.ToolsManifest)
	write(t, name, "{")
	if _, err := ReadTools(root); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("error %v for a damaged manifest", err)
	}
}

func TestFindSuite(t *testing.T) {
	if _, err := findSuite("buster"); err == nil || !strings.Contains(err.Error(), "bookworm or trixie") {
		t.Errorf("error %v", err)
	}
	if _, err := findSuite(DefaultSuite()); err != nil {
		t.Error(err)
	}
}

// build compiles a program of testdata; static as ours are, or not.
func build(t *testing.T, dir, name string) string {
	t.Helper()
	out := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", out, "./testdata/program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// library compiles the one for virtiofsd.
func library(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(dir, "hardlinks.so")
	if text, err := exec.Command("cc", "-shared", "-fPIC", "-o", out, "../hardlinks/hardlinks.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func TestInstallRefusesDynamicPrograms(t *testing.T) {
	testkit.Require(t, testkit.Root)
	o := Options{Program: "/bin/ls", Guest: "/bin/ls", Prefix: filepath.Join(t.TempDir(), "p"), Docker: Docker{Skip: true}}
	err := Install(t.Context(), o, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(o.Prefix); !os.IsNotExist(err) {
		t.Errorf("the prefix was made: %v", err)
	}
}

// The whole of it, from packages that an installation has left in the cache: no
// network is used.
func TestInstallFromCache(t *testing.T) {
	testkit.Require(t, testkit.Root)
	ran := false
	for _, suite := range Suites() {
		if _, err := os.Stat(filepath.Join(DefaultCache, suite, cacheRecord)); err == nil {
			ran = true
			t.Run(suite, func(t *testing.T) { installFromCache(t, suite) })
		}
	}
	if !ran {
		t.Skip("requires the packages that runcvm install leaves in " + DefaultCache)
	}
}

func installFromCache(t *testing.T, suite string) {
	dir := t.TempDir()
	config := filepath.Join(dir, "docker/daemon.json")
	write(t, config, `{"debug": true}`)
	o := Options{
		Prefix: filepath.Join(dir, "prefix"), Suite: suite,
		Program: build(t, dir, "runcvm"), Guest: build(t, dir, "runcvm-guest"), Library: library(t, dir),
		Docker: Docker{Config: config, PIDFile: filepath.Join(dir, "no.pid")},
	}
	install := func() string {
		t.Helper()
		var progress bytes.Buffer
		if err := Install(t.Context(), o, &progress); err != nil {
			t.Fatalf("%v\n%s", err, progress.String())
		}
		return progress.String()
	}
	install()
	tools, err := ReadTools(filepath.Join(o.Prefix, ToolRoot))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(tools.Root, tools.VirtiofsdPath)); err != nil || tools.QEMUVersion == "" || !tools.Qboot {
		t.Errorf("%+v, %v", tools, err)
	}
	installed, err := kernels.List(o.Prefix)
	if err != nil || len(installed) != 1 || !installed[0].Default {
		t.Errorf("kernels: %+v, %v", installed, err)
	}

	before := snapshot(t, o.Prefix, filepath.Dir(config))
	install()
	if d := cmp.Diff(before, snapshot(t, o.Prefix, filepath.Dir(config))); d != "" {
		t.Errorf("the second installation changed (-before +after):\n%s", d)
	}

	damaged := filepath.Join(o.Prefix, ToolRoot, "usr/sbin/mke2fs")
	if err := os.Remove(damaged); err != nil {
		t.Fatal(err)
	}
	install()
	if _, err := os.Stat(damaged); err != nil {
		t.Errorf("the damage was not mended: %v", err)
	}

	inUse(t, o)
	write(t, filepath.Join(o.Prefix, "of-somebody-else"), "")
	u := UninstallOptions{Prefix: o.Prefix, KeepCache: true, Docker: o.Docker}
	for range 2 {
		if err := Uninstall(t.Context(), u, io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(o.Prefix, "of-somebody-else")); err != nil {
			t.Fatal(err)
		}
		if entries, _ := os.ReadDir(o.Prefix); len(entries) != 0 {
			t.Errorf("left behind: %v", entries)
		}
	}
	if got, err := os.ReadFile(config); err != nil || string(got) != `{"debug": true}` {
		t.Errorf("daemon.json: %q, %v", got, err)
	}
}

// inUse mounts the tool root as a container does: it must not be removed.
func inUse(t *testing.T, o Options) {
	t.Helper()
	container := exec.Command("unshare", "-m", "sh", "-ec", `mount --bind "$0" /mnt && echo ready && read line`, filepath.Join(o.Prefix, ToolRoot))
	stdin, err := container.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := container.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stdin.Close(); _ = container.Wait() }()
	if _, err := stdout.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	var used *InUseError
	err = Uninstall(t.Context(), UninstallOptions{Prefix: o.Prefix, KeepCache: true, Docker: o.Docker}, io.Discard)
	if !errors.As(err, &used) || len(used.Processes) != 1 || used.Processes[0] != container.Process.Pid {
		t.Errorf("error %v, want one that names process %d", err, container.Process.Pid)
	}
	if _, err := ReadTools(filepath.Join(o.Prefix, ToolRoot)); err != nil {
		t.Errorf("the tool root was touched: %v", err)
	}
}

// snapshot tells each path's inode, time and mode: the content cannot change
// without one of them.
func snapshot(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			all[path] = fmt.Sprintf("%v %d %v", info.Mode(), info.Size(), info.ModTime())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
