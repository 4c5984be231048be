package storage

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree lists what is below root with its mode.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		got[strings.TrimPrefix(path, root)] = info.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestMakeMountPoints(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "root")
	for _, dir := range []string{"root/etc", "root/run", "root/outside", "outside"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"var": "/run", "out": "../../outside", "abs": "/outside"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	err := MakeMountPoints(root, []MountPoint{
		{Destination: "/etc"},
		{Destination: "/etc/below", File: true}, // within the mount above
		{Destination: "/data/deep"},
		{Destination: "/data/file", File: true},
		{Destination: "/tmp", Shared: true},
		{Destination: "/var/x"},    // through an absolute link
		{Destination: "/out/x"},    // a link that climbs
		{Destination: "../climbs"}, // a path that climbs
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/etc": "drwxr-xr-x", "/data": "drwxr-xr-x", "/data/deep": "drwxr-xr-x", "/data/file": "-rw-r--r--",
		"/tmp": "dtrwxrwxrwx", "/run": "drwxr-xr-x", "/run/x": "drwxr-xr-x",
		"/outside": "drwxr-xr-x", "/outside/x": "drwxr-xr-x", "/climbs": "drwxr-xr-x",
		"/var": "Lrwxrwxrwx", "/out": "Lrwxrwxrwx", "/abs": "Lrwxrwxrwx",
	}
	if diff := cmp.Diff(want, tree(t, root)); diff != "" {
		t.Errorf("the root (-want +got):\n%s", diff)
	}
	if got := tree(t, filepath.Join(base, "outside")); len(got) != 0 {
		t.Errorf("made outside of the root: %v", got)
	}
}

func TestMakeMountPointsErrors(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := MakeMountPoints(root, []MountPoint{{Destination: "/file/x"}})
	if err == nil || !strings.Contains(err.Error(), "/file/x") {
		t.Errorf("below a file: %v", err)
	}
	if err := MakeMountPoints(filepath.Join(root, "none"), nil); err == nil {
		t.Error("a root that is not there was taken")
	}
}
