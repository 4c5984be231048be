package facts_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/testkit"
	"github.com/runcvm/runcvm/runtime/facts"
)

func TestUpperDir(t *testing.T) {
	testkit.Require(t, testkit.Root)
	dir := t.TempDir()
	for _, name := range []string{"ID/diff", "ID/work", "ID/merged", "ID/lower/sub"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(".", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	merged, own := filepath.Join(dir, "ID/merged"), filepath.Join(dir, "ID/diff")
	if got := facts.UpperDir(merged); got != "" {
		t.Errorf("%q for a folder that is no mount", got)
	}
	// As Docker does for many layers.
	t.Chdir(dir)
	for _, base := range []string{dir, "."} {
		path := func(name string) string { return filepath.Join(base, "ID", name) }
		options := "lowerdir=" + path("lower") + ",upperdir=" + path("diff") + ",workdir=" + path("work")
		if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
			t.Fatal(err)
		}
		got, below := facts.UpperDir(filepath.Join(dir, "link/ID/merged")), facts.UpperDir(filepath.Join(merged, "sub"))
		if err := unix.Unmount(merged, 0); err != nil {
			t.Fatal(err)
		}
		if got != own || below != "" {
			t.Errorf("%s: upper folder %q, and %q for a folder in it", options, got, below)
		}
	}
}
