package supervisor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHasNoInput(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{os.DevNull: true, "/dev/zero": false, empty: false} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := HasNoInput(f); got != want {
			t.Errorf("%s: %t, want %t", path, got, want)
		}
	}
}
