package main

import "testing"

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
