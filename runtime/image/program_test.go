package image

import (
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestProgram(t *testing.T) {
	root := tree(t, map[string]string{
		"usr/lib/systemd/systemd": "x", "usr/sbin/init": "-> ../lib/systemd/systemd", "sbin": "-> usr/sbin",
		"usr/bin/app": "x", "usr/bin/data": "data", "loop": "-> loop", "out": "-> ../../../../bin/sh", "dangling": "-> /nowhere",
		"etc/": "", "tmp/": "",
	})
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	bound := t.TempDir()
	if err := os.WriteFile(filepath.Join(bound, "init"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	v, err := NewView("/", &specs.Spec{Root: &specs.Root{Path: root}, Mounts: []specs.Mount{
		tmpfs("/tmp"), {Destination: "/opt", Type: "bind", Source: bound},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, cwd, want string }{
		{"/sbin/init", "", "", "/usr/lib/systemd/systemd"},
		{"init", "/nosuch:/sbin:/usr/sbin", "", "/usr/lib/systemd/systemd"},
		{"./init", "", "/sbin", "/usr/lib/systemd/systemd"},
		{"app", "/tmp:/usr/bin", "", ""}, // /tmp may have it
		{"app", "/usr/bin:/tmp", "", "/usr/bin/app"},
		{"/opt/init", "", "", "/opt/init"},
		{"data", "/usr/bin", "", ""},
		{"/etc", "", "", ""},
		{"/loop", "", "", ""},
		{"/dangling", "", "", ""},
		{"/out", "", "", ""}, // the image has no /bin/sh, the host has
		{"nosuch", "/usr/bin", "", ""},
	} {
		got, err := Program(v, process(test.name, test.path, test.cwd, 0, 0))
		if err != nil || got != test.want {
			t.Errorf("%s (PATH %s, cwd %s): %q, %v, want %q", test.name, test.path, test.cwd, got, err, test.want)
		}
	}
	if got, err := Program(v, &specs.Process{}); got != "" || err != nil {
		t.Errorf("no arguments: %q, %v", got, err)
	}
}
