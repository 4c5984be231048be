package imagefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// image makes a tree beside a file that nothing in it may reach.
func image(t *testing.T) (dir string, tree *Tree) {
	t.Helper()
	top := t.TempDir()
	write(t, filepath.Join(top, "secret"), "of the host")
	dir = filepath.Join(top, "image")
	write(t, filepath.Join(dir, "usr/lib/os-release"), "ID=debian\n")
	write(t, filepath.Join(dir, "boot/vmlinuz-1"), "kernel")
	for name, target := range map[string]string{
		"lib": "usr/lib", "etc": "/usr/lib", "vmlinuz": "/boot/vmlinuz-1", "up": "../../../boot/vmlinuz-1",
		"escape": "../secret", "abroad": filepath.Join(top, "secret"), "loop": "loop2", "loop2": "/loop",
		"nowhere": "/boot/missing", "self": ".", "deep": "self/self/self/boot/vmlinuz-1",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return dir, tree
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

func TestReadFile(t *testing.T) {
	dir, tree := image(t)
	huge := filepath.Join(dir, "huge")
	write(t, huge, "")
	if err := os.Truncate(huge, 4<<30); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		content string
		err     error
	}{
		"/boot/vmlinuz-1":       {"kernel", nil},
		"vmlinuz":               {"kernel", nil},
		"/up":                   {"kernel", nil}, // the root's parent is the root
		"/../../boot/vmlinuz-1": {"kernel", nil},
		"/deep":                 {"kernel", nil},
		"/lib/os-release":       {"ID=debian\n", nil},
		"/etc/os-release":       {"ID=debian\n", nil},
		"/escape":               {"", fs.ErrNotExist},
		"/abroad":               {"", fs.ErrNotExist},
		"/nowhere":              {"", fs.ErrNotExist},
		"/loop":                 {"", ErrLinks},
		"/boot":                 {"", ErrNotRegular},
		"/fifo":                 {"", ErrNotRegular},
		"/huge":                 {"", ErrTooLarge},
		"/boot/vmlinuz-1/x":     {"", unix.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tree.ReadFile(name, 1<<20)
			if string(got) != tt.content || !errors.Is(err, tt.err) {
				t.Errorf("%q, %v; want %q, %v", got, err, tt.content, tt.err)
			}
		})
	}
}

func TestDevicesAreNotOpened(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a device")
	}
	dir, tree := image(t)
	if err := unix.Mknod(filepath.Join(dir, "zero"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
		t.Skipf("makes no device here: %v", err)
	}
	if _, err := tree.ReadFile("/zero", 1<<20); !errors.Is(err, ErrNotRegular) {
		t.Errorf("error %v", err)
	}
}

func TestGlob(t *testing.T) {
	dir, tree := image(t)
	write(t, filepath.Join(dir, "boot/vmlinuz-2"), "")
	write(t, filepath.Join(dir, "lib/modules/6.1/vmlinuz"), "")
	write(t, filepath.Join(dir, "lib/modules/6.2/modules.dep"), "")
	for pattern, want := range map[string][]string{
		"/boot/vmlinuz-*":        {"/boot/vmlinuz-1", "/boot/vmlinuz-2"},
		"/lib/modules/*/vmlinuz": {"/lib/modules/6.1/vmlinuz"},
		"/vmlinuz":               {"/vmlinuz"},
		"/nowhere":               {"/nowhere"}, // whoever opens it says why not
		"/missing/*":             nil,
		"/fifo/*":                nil,
		"/loop/*":                nil,
	} {
		if diff := cmp.Diff(want, tree.Glob(pattern)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
}

func TestFoldersAreBounded(t *testing.T) {
	dir, tree := image(t)
	for i := range maxEntries + 1 {
		write(t, filepath.Join(dir, "many", strconv.Itoa(i)), "")
	}
	if _, err := tree.ReadDir("/many"); !errors.Is(err, ErrTooMany) {
		t.Errorf("error %v", err)
	}
}

func TestSub(t *testing.T) {
	dir, tree := image(t)
	write(t, filepath.Join(dir, "lib/modules/6.1/kernel/a.ko"), "module")
	sub := tree.Sub("/lib/modules/6.1", 3)
	if _, err := fs.ReadFile(sub, "kernel/a.ko"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v of a file beyond the limit", err)
	}
	var names []string
	err := fs.WalkDir(tree.Sub("/lib/modules", 1<<10), ".", func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	})
	if diff := cmp.Diff([]string{".", "6.1", "6.1/kernel", "6.1/kernel/a.ko"}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := sub.Open("../6.1/kernel/a.ko"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("error %v of a path with ..", err)
	}
}

// FuzzResolve looks for a path that leads out.
func FuzzResolve(f *testing.F) {
	f.Add("a", "../../x", "/../a/./b")
	f.Fuzz(func(t *testing.T, link, target, path string) {
		top := t.TempDir()
		dir := filepath.Join(top, "image")
		write(t, filepath.Join(top, "secret"), "of the host")
		write(t, filepath.Join(dir, "d/file"), "inside")
		if os.Symlink(target, filepath.Join(dir, "d", filepath.Base(link))) != nil {
			t.Skip()
		}
		tree, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		if data, err := tree.ReadFile(path, 1<<10); err == nil && string(data) != "inside" {
			t.Errorf("%q gives %q", path, data)
		}
	})
}
