package testkit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recorder is a test that notes how it ended.
type recorder struct {
	testing.TB
	skipped, failed bool
	said            []any
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(_ string, args ...any) { r.skipped, r.said = true, args; panic(r) }

func (r *recorder) Fatalf(_ string, args ...any) { r.failed, r.said = true, args; panic(r) }

// record runs f and returns how it ended its test.
func record(f func(testing.TB)) (r *recorder) {
	r = &recorder{}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	f(r)
	return r
}

func TestRequire(t *testing.T) {
	lacking := Capability{"lacking", func() string { return "there is none" }}
	having := Capability{"having", func() string { return "" }}
	for _, tc := range []struct {
		list            string
		needs           []Capability
		skipped, failed bool
	}{
		{"", nil, false, false},
		{"", []Capability{having}, false, false},
		{"", []Capability{having, lacking}, true, false},
		{"having", []Capability{lacking}, true, false},
		{"lack", []Capability{lacking}, true, false},
		{"having, lacking", []Capability{lacking}, false, true},
		{"all", []Capability{lacking}, false, true},
		{"all", []Capability{having}, false, false},
	} {
		t.Setenv(RequireVariable, tc.list)
		r := record(func(t testing.TB) { Require(t, tc.needs...) })
		if r.skipped != tc.skipped || r.failed != tc.failed {
			t.Errorf("%q with %d: skipped %v, failed %v", tc.list, len(tc.needs), r.skipped, r.failed)
		}
	}
}

func TestCapabilitiesAnswer(t *testing.T) {
	for _, c := range []Capability{Root, NetNS, Tun, TC, Runc, Docker, QEMU, KVM, Install} {
		why := c.missing()
		t.Logf("%-8s %s", c.Name, why)
		if c.Name == "" || strings.ContainsAny(c.Name, ", ") {
			t.Errorf("%q does not fit into a list", c.Name)
		}
	}
}

func TestEventually(t *testing.T) {
	n := 0
	Eventually(t, time.Minute, func() error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	r := record(func(t testing.TB) {
		Eventually(t, 5*time.Millisecond, func() error { return errors.New("never") })
	})
	if !r.failed || n != 3 {
		t.Errorf("failed %v, called %d times", r.failed, n)
	}
}

func TestSnapshotSeesLeaks(t *testing.T) {
	Require(t, Root, NetNS)
	dir := t.TempDir()
	before := snapshot(t, dir)
	if leaked := snapshot(t, dir).Leaked(before); len(leaked) != 0 {
		t.Errorf("nothing happened, and yet: %v", leaked)
	}
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	child := exec.CommandContext(t.Context(), "sleep", "60")
	// The process stands in for one that a test forgot, in a namespace of its own.
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	mounted := filepath.Join(dir, "mounted")
	if err := errors.Join(os.Mkdir(mounted, 0o700), unix.Mount("test", mounted, "tmpfs", 0, "size=4k")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(mounted, unix.MNT_DETACH) }()
	leaked := strings.Join(snapshot(t, dir).Leaked(before), "\n")
	for _, want := range []string{
		"1 more descriptors of " + file.Name(), "child process", " sleep", "network namespace net:[", "mount " + mounted,
	} {
		if !strings.Contains(leaked, want) {
			t.Errorf("%q is not in:\n%s", want, leaked)
		}
	}
}

func snapshot(t *testing.T, folder string) Snapshot {
	t.Helper()
	s, err := TakeSnapshot(folder)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNamespacesEnd(t *testing.T) {
	NoLeaks(t)
	for range 20 {
		n := NewNamespace(t)
		n.Run(func() error {
			_, err := os.Stat("/proc/thread-self/ns/net")
			return err
		})
	}
}
