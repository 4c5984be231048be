package oci

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRelativeSources reads a bundle with mounts whose sources are relative.
func TestRelativeSources(t *testing.T) {
	bundle := t.TempDir()
	config := `{"root": {"path": "rootfs"}, "process": {"args": ["sh"]}, "mounts": [
		{"destination": "/a", "type": "bind", "source": "data"},
		{"destination": "/b", "type": "none", "source": "../data", "options": ["rbind", "ro"]},
		{"destination": "/c", "type": "bind", "source": "/data"},
		{"destination": "/d", "type": "tmpfs", "source": "tmpfs"}]}`
	if err := os.WriteFile(filepath.Join(bundle, configFile), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := readBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range doc.Spec.Mounts {
		got = append(got, m.Source)
	}
	want := []string{filepath.Join(bundle, "data"), filepath.Join(filepath.Dir(bundle), "data"), "/data", "tmpfs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}
