package install

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestLeaveCache takes installations that share a cache away, one after the
// other.
func TestLeaveCache(t *testing.T) {
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	suite := filepath.Join(cache, "bookworm")
	for _, name := range []string{"bookworm/packages.json", "bookworm/apt/sources.list", "bookworm/tree/f", "bookworm/.new-1/f", "trixie/packages.json", "rootfs/bookworm.tar"} {
		write(t, filepath.Join(cache, name), "")
	}
	prefix := func(name string) string {
		path := filepath.Join(dir, name)
		write(t, filepath.Join(path, recordName), `{"format": 1}`)
		if err := joinCache(suite, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	leave := func(path string, keep bool) []string {
		t.Helper()
		if err := leaveCache(t.Context(), &printer{w: io.Discard}, cache, path, keep); err != nil {
			t.Fatal(err)
		}
		users, err := readCacheUsers(suite)
		if err != nil {
			t.Fatal(err)
		}
		return users
	}
	first, second, gone := prefix("first"), prefix("second"), prefix("gone")
	if err := joinCache(suite, first); err != nil { // again
		t.Fatal(err)
	}
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, prefix string
		keep         bool
		users        []string
		stays        bool
	}{
		{"never installed", filepath.Join(dir, "other"), false, []string{first, second, gone}, true},
		{"one of two", first, false, []string{second}, true},
		{"the last, which keeps it", second, true, nil, true},
		{"that again", second, false, nil, true},
		{"installed anew", "", false, nil, false},
	} {
		if step.prefix == "" {
			step.prefix = prefix("second")
		}
		if d := cmp.Diff(step.users, leave(step.prefix, step.keep), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: installations (-want +got):\n%s", step.name, d)
		}
		if _, err := os.Stat(filepath.Join(suite, "packages.json")); (err == nil) != step.stays {
			t.Errorf("%s: the packages: %v", step.name, err)
		}
	}
	for name, stays := range map[string]bool{"bookworm": false, "trixie/packages.json": true, "rootfs/bookworm.tar": true} {
		if _, err := os.Stat(filepath.Join(cache, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClearRunDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	write(t, filepath.Join(dir, "kvm.json"), "{}")
	write(t, filepath.Join(dir, "kvm.lock"), "")
	write(t, filepath.Join(dir, "state/00000000/id/plan.json"), "")
	for _, exists := range []bool{true, false} {
		if err := clearRunDir(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "state")); (err == nil) != exists {
			t.Errorf("the states: %v", err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "state/00000000")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder: %v", err)
	}
}
