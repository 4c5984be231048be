package elfdeps

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The closure of this machine's programs is what its ld.so says.
func TestClosureLikeLdd(t *testing.T) {
	for _, program := range []string{"/bin/ls", "/usr/bin/apt-get", "/usr/sbin/mke2fs", "/usr/bin/qemu-system-x86_64"} {
		t.Run(filepath.Base(program), func(t *testing.T) {
			if _, err := os.Stat(program); err != nil {
				t.Skip("requires ", program)
			}
			tree, err := Open("/")
			if err != nil {
				t.Fatal(err)
			}
			got, err := tree.Closure(program)
			if err != nil {
				t.Fatal(err)
			}
			for _, library := range ldd(t, program) {
				real, err := filepath.EvalSymlinks(library)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(got, real) {
					t.Errorf("%s is missing", real)
				}
			}
			// And nothing else: each file is one that ldd told of.
			known := []string{}
			for _, library := range append(ldd(t, program), program) {
				real, _ := filepath.EvalSymlinks(library)
				known = append(known, real)
			}
			for _, name := range got {
				st, err := os.Lstat(name)
				if err != nil {
					t.Fatal(err)
				}
				if st.Mode().IsRegular() && !slices.Contains(known, name) {
					t.Errorf("%s is not needed", name)
				}
			}
		})
	}
}

func ldd(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", program, err)
	}
	var libraries []string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		for _, field := range strings.Fields(s.Text()) {
			if filepath.IsAbs(field) {
				libraries = append(libraries, field)
				break
			}
		}
	}
	return libraries
}

func TestResolve(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"usr/lib/x", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"lib":          "usr/lib",
		"usr/lib/abs":  "/lib/x",
		"usr/lib/up":   "../../../../../../etc", // cannot leave the tree
		"usr/lib/loop": "loop",
		"usr/lib/gone": "/missing",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/x/f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		real  string // empty for an error
		links []string
	}{
		{"/lib/x/f", "/usr/lib/x/f", []string{"/lib"}},
		{"/usr/lib/abs/f", "/usr/lib/x/f", []string{"/usr/lib/abs", "/lib"}},
		{"/lib/up", "/etc", []string{"/lib", "/usr/lib/up"}},
		{"../../etc", "/etc", nil},
		{"/lib/loop", "", nil},
		{"/lib/gone", "", nil},
	} {
		links, real, err := tree.Resolve(tt.name)
		if (err != nil) != (tt.real == "") || real != tt.real {
			t.Errorf("%s: %q, %v; want %q", tt.name, real, err, tt.real)
		}
		if d := cmp.Diff(tt.links, links); d != "" {
			t.Errorf("%s: links (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestLoaderConf(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"etc/ld.so.conf":            "# comment\ninclude ld.so.conf.d/*.conf\n/opt/last # trailing\n",
		"etc/ld.so.conf.d/a.conf":   "/opt/a\n/opt/b/\n",
		"etc/ld.so.conf.d/b.conf":   "include /etc/ld.so.conf.d/c.inc\n",
		"etc/ld.so.conf.d/c.inc":    "/opt/c\n",
		"etc/ld.so.conf.d/ignored":  "/opt/ignored\n",
		"etc/ld.so.conf.d/rel.conf": "relative/folder\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/opt/a", "/opt/b", "/opt/c", "/opt/last"}
	if d := cmp.Diff(want, tree.defaults[:len(tree.defaults)-6]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMissingLibrary(t *testing.T) {
	ls, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, content := range map[string][]byte{"ls": ls, "script": []byte("#!/bin/sh\n")} {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	var missing *MissingError
	_, err = tree.Closure("/ls")
	if !errors.As(err, &missing) || missing.NeededBy != "/ls" || !strings.Contains(err.Error(), "libc.so.6") {
		t.Errorf("error %v, want one that names libc.so.6", err)
	}
	if _, err := tree.Closure("/script"); err == nil || !strings.Contains(err.Error(), "/script") {
		t.Errorf("error %v for a script", err)
	}
}

func TestExpandOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"$ORIGIN/../lib": "/usr/lib",
		"${ORIGIN}":      "/usr/bin",
		"/opt/x/":        "/opt/x",
	} {
		if got := expandOrigin(in, "/usr/bin/p"); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
