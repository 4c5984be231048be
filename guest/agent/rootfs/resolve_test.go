package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// layOut makes an image with hostile links, and a directory beside it that
// nothing may reach.
func layOut(t *testing.T) (root, outside string) {
	t.Helper()
	dir := t.TempDir()
	root, outside = filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, d := range []string{outside, filepath.Join(root, "etc"), filepath.Join(root, "real")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"abs":      "/real",
		"out":      outside,
		"up":       "../../../../../../.." + outside,
		"dangling": "/not/there",
		"loop":     "loop",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("hosts"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root, outside
}

func TestEnsureStaysInTheRoot(t *testing.T) {
	root, outside := layOut(t)
	for _, test := range []struct {
		path string
		dir  bool
		want string // below the root
	}{
		{"/etc/hosts", false, "/etc/hosts"},
		{"etc/hosts", false, "/etc/hosts"},
		{"/", true, ""},
		{"/../../..", true, ""},
		{"/abs", true, "/real"},
		{"/abs/new/er", true, "/real/new/er"},
		{"/abs/file", false, "/real/file"},
		{"/dangling", true, "/not/there"},
		{"/dangling/file", false, "/not/there/file"},
		{"/out/x", true, outside + "/x"},
		{"/up/y", true, outside + "/y"},
		{"/etc/../../../../z", true, "/z"},
	} {
		p, err := tree{root}.ensure(test.path, test.dir)
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		var got, want unix.Stat_t
		if err := unix.Fstat(p.fd, &got); err != nil {
			t.Fatal(err)
		}
		p.close()
		expected := root + test.want
		if err := unix.Lstat(expected, &want); err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		if got.Ino != want.Ino || got.Dev != want.Dev {
			t.Errorf("%s is not %s", test.path, expected)
		}
		if isDir := got.Mode&unix.S_IFMT == unix.S_IFDIR; isDir != test.dir {
			t.Errorf("%s: a directory: %v", test.path, isDir)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("outside of the root there is %v", left)
	}
	if p, err := (tree{root}).ensure("/loop/x", true); err == nil {
		p.close()
		t.Error("a loop of links is resolved")
	}
	if _, err := (tree{root}).ensure("/etc/hosts/x", true); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestEnsureLeavesWhatExists(t *testing.T) {
	root, _ := layOut(t)
	long := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	paths := []string{"/etc/hosts", "/etc", "/real", "/"}
	for _, path := range paths {
		if err := os.Chtimes(root+path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range paths {
		p, err := tree{root}.ensure(path, path != "/etc/hosts")
		if err != nil {
			t.Fatal(err)
		}
		p.close()
		if st, err := os.Stat(root + path); err != nil || !st.ModTime().Equal(long) {
			t.Errorf("%s was touched: %v, %v", path, st.ModTime(), err)
		}
	}
}

func TestParseOptions(t *testing.T) {
	for _, test := range []struct {
		list []string
		want options
	}{
		{nil, options{}},
		{[]string{"nosuid", "noexec", "ro"}, options{flags: unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_RDONLY}},
		{[]string{"ro", "rw"}, options{}},
		{[]string{"mode=755", "size=64k", "", "strictatime"}, options{flags: unix.MS_STRICTATIME, data: "mode=755,size=64k"}},
	} {
		got := parseOptions(test.list)
		if got.flags != test.want.flags || got.data != test.want.data {
			t.Errorf("%v: %+v, want %+v", test.list, got, test.want)
		}
	}
	bind := parseOptions([]string{"rbind", "rprivate", "rro", "tmpcopyup"})
	if bind.flags != unix.MS_BIND|unix.MS_REC || len(bind.propagation) != 1 ||
		bind.setAttr != unix.MOUNT_ATTR_RDONLY || !bind.copyUp {
		t.Errorf("%+v", bind)
	}
}

func TestVolumeSource(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/"} {
		if _, err := volumeSource("/share", name); err == nil {
			t.Errorf("%q is taken for a volume", name)
		}
	}
	if got, err := volumeSource("/share", "3"); err != nil || got != "/share/volumes/3" {
		t.Errorf("%q, %v", got, err)
	}
}
