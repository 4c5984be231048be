package install

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/internal/testkit"
)

func TestTreePath(t *testing.T) {
	for name, want := range map[string]string{
		"./lib/x86_64-linux-gnu/libc.so.6": "usr/lib/x86_64-linux-gnu/libc.so.6",
		"./lib64/ld-linux-x86-64.so.2":     "usr/lib64/ld-linux-x86-64.so.2",
		"./bin":                            "usr/bin",
		"./usr/bin/x":                      "usr/bin/x",
		"./library/x":                      "library/x",
		"../../etc/passwd":                 "etc/passwd",
		"./":                               "",
	} {
		if got := treePath(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestUnpack(t *testing.T) {
	testkit.Require(t, testkit.Program("dpkg-deb"))
	pack := t.TempDir()
	for name, content := range map[string]string{
		"DEBIAN/control":               "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: test\n",
		"lib/x/lib.so":                 "library",
		"usr/share/doc/p/copyright":    "left out",
		"usr/share/qemu/keymaps/sl":    "keymap",
		"usr/share/qemu-other/nothing": "left out",
		"sbin/tool":                    "tool",
	} {
		write(t, filepath.Join(pack, name), content)
	}
	if err := os.Chmod(filepath.Join(pack, "sbin/tool"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("lib.so", filepath.Join(pack, "lib/x/lib.so.1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(pack, "sbin/tool"), filepath.Join(pack, "sbin/tool2")); err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(t.TempDir(), "p.deb")
	if out, err := exec.Command("dpkg-deb", "--build", pack, deb).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	u, err := newUnpacker(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for range 2 { // the second package replaces the first one's files
		if err := u.deb(t.Context(), deb); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"usr/lib/x/lib.so.1": "library", "lib/x/lib.so": "library", "usr/share/qemu/keymaps/sl": "keymap", "usr/sbin/tool2": "tool",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"usr/share/doc", "usr/share/qemu-other"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was not left out", name)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, "sbin/tool")); err != nil || st.Mode() != 0o755 {
		t.Errorf("mode %v, %v; want 0755", st.Mode(), err)
	}
	if err := u.deb(t.Context(), filepath.Join(pack, "DEBIAN/control")); err == nil || !strings.Contains(err.Error(), "dpkg-deb") {
		t.Errorf("error %v for what is no package", err)
	}
}

// What a package holds stays below the tree.
func TestUnpackHostile(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"through a link that leaves": {
			{Name: "./etc/out", Typeflag: tar.TypeSymlink, Linkname: "/tmp"},
			{Name: "./etc/out/runcvm-hostile", Typeflag: tar.TypeReg, Mode: 0o644},
		},
		"a hard link to the host":  {{Name: "./etc/x", Typeflag: tar.TypeLink, Linkname: "../../../../etc/passwd"}},
		"a device":                 {{Name: "./etc/x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"a file in place of a dir": {{Name: "./usr/lib", Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			for i := range headers {
				if err := w.WriteHeader(&headers[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			u, err := newUnpacker(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			err = u.tar(tar.NewReader(&archive))
			if name == "a file in place of a dir" {
				// An empty folder may be replaced; nothing outside is touched.
				return
			}
			if err == nil {
				t.Error("no error")
			}
			if _, err := os.Lstat("/tmp/runcvm-hostile"); err == nil {
				t.Error("a file was written outside of the tree")
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
