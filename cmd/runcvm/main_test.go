package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runcvm": main})
}

// TestScripts runs the program as its callers do. Where a script needs a runtime
// below, that is a shell script with runc's command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

func TestUnknownVerbsFail(t *testing.T) {
	for _, args := range [][]string{
		{"nosuch"},
		{"checkpoint", "id"},
		{"--root", t.TempDir(), "restore", "id"},
		{"-root=" + t.TempDir(), "-debug", "restore", "--bundle", "x", "id"},
		{"--nosuch", "state", "id"},
		{"state"},
	} {
		if code := run(args); code == 0 {
			t.Errorf("runcvm %q succeeded", args)
		}
	}
	if code := run([]string{"help"}); code != 0 {
		t.Errorf("help: exit code %d", code)
	}
}
