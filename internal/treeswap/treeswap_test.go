package treeswap

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/testkit"
)

func TestReplace(t *testing.T) {
	target := filepath.Join(t.TempDir(), "root")
	for _, content := range []string{"first", "second"} {
		dir, err := New(target)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "file"), content)
		if err := Replace(dir, target); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(target, "file")); string(got) != content {
			t.Errorf("after the swap the file holds %q, want %q", got, content)
		}
	}
	if got := names(t, filepath.Dir(target)); len(got) != 1 {
		t.Errorf("the parent holds %q, want only the target", got)
	}
}

func TestSweepRemovesInterruptedBuilds(t *testing.T) {
	parent := t.TempDir()
	if _, err := New(filepath.Join(parent, "root")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(parent, "kept"), "")
	if err := Sweep(parent); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); len(got) != 1 || got[0] != "kept" {
		t.Errorf("the parent holds %q, want only what is not ours", got)
	}
	if err := Sweep(filepath.Join(parent, "missing")); err != nil {
		t.Errorf("a missing parent: %v", err)
	}
}

// A container that has the old tree mounted in a namespace of its own keeps it,
// and the mount below it, through a replacement.
func TestReplaceKeepsMountedTrees(t *testing.T) {
	testkit.Require(t, testkit.Root)
	parent := t.TempDir()
	target := filepath.Join(parent, "root")
	write(t, filepath.Join(target, "mnt", "under"), "")
	user := exec.Command("unshare", "-m", "sh", "-ec",
		"mkdir bound && mount --bind root bound && mount -t tmpfs none bound/mnt && touch bound/mnt/x && echo ready && read line && test -e bound/mnt/x")
	user.Dir = parent
	stdin, err := user.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := user.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = user.Process.Signal(unix.SIGKILL)
			_ = user.Wait()
		}
	})
	if _, err := stdout.Read(make([]byte, 6)); err != nil {
		t.Fatal("the namespace did not come up: ", err)
	}

	dir, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(dir, target); err != nil {
		t.Fatal(err)
	}
	if users, err := Users(target); err != nil || len(users) != 0 {
		t.Errorf("users of the new tree: %v, %v; want none", users, err)
	}
	old, err := filepath.Glob(filepath.Join(parent, oldPrefix+"*"))
	if err != nil || len(old) != 1 {
		t.Fatalf("set aside: %q, %v; want one directory", old, err)
	}
	if users, err := Users(old[0]); err != nil || len(users) == 0 {
		t.Errorf("users of the old tree: %v, %v; want one", users, err)
	}

	_, _ = stdin.Write([]byte("\n"))
	ended = true
	if err := user.Wait(); err != nil {
		t.Errorf("the mount below the old tree was lost: %v", err)
	}
	if err := Sweep(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old[0]); !os.IsNotExist(err) {
		t.Errorf("the unused old tree is still there: %v", err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
