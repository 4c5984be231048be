package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInspectSaysWhatIsWrong has no docker command, one that fails, and one
// that answers something else. The conformance suite asks a real engine.
func TestInspectSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	check := func(want string) {
		t.Helper()
		_, _, err := Inspect(t.Context(), "debian")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	check("the docker command, which is not in $PATH")
	for script, want := range map[string]string{
		"echo No such image: $4 >&2; exit 1": "docker image inspect -- debian: exit status 1: No such image: debian",
		"echo '[]'":                          "the answer has no configuration of one image",
		"echo nothing":                       "understand the answer",
	} {
		if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		check(want)
	}
}
