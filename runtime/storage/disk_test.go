package storage

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/testkit"
)

var e2fsprogs = testkit.Program("mke2fs")

// newDisk is a disk of 16 MiB in a folder of its own, to be filled from
// "target" there.
func newDisk(t *testing.T) *Disk {
	t.Helper()
	testkit.Require(t, e2fsprogs)
	program := func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir := t.TempDir()
	return &Disk{Name: "data", Root: dir, Path: "/disks/data", Size: 16 << 20, FS: "ext4", FillRoot: dir, Fill: "/target", Mke2fs: program("mke2fs"), Debugfs: program("debugfs")}
}

func openDisk(t *testing.T, d *Disk) *os.File {
	t.Helper()
	f, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// debugfs asks the file system in the disk, without mounting it.
func debugfs(t *testing.T, d *Disk, request string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "debugfs", "-R", request, filepath.Join(d.Root, d.Path)).CombinedOutput()
	if err != nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
	return string(out)
}

func TestDiskIsMadeAndFoundAgain(t *testing.T) {
	testkit.Require(t, testkit.Root)
	d := newDisk(t)
	target := filepath.Join(d.Root, "target")
	for _, err := range []error{
		os.Mkdir(target, 0o750),
		os.WriteFile(filepath.Join(target, "file"), []byte("content"), 0o640),
		os.Chown(filepath.Join(target, "file"), 7, 8),
		os.Link(filepath.Join(target, "file"), filepath.Join(target, "hard")),
		os.Symlink("file", filepath.Join(target, "soft")),
		unix.Setxattr(filepath.Join(target, "file"), "user.colour", []byte("red"), 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f := openDisk(t, d)
	st, err := f.Stat()
	if err != nil || st.Size() != d.Size {
		t.Fatalf("size %v, %v", st, err)
	}
	if blocks := st.Sys().(*syscall.Stat_t); blocks.Blocks*512 > d.Size/2 {
		t.Errorf("it is not sparse: %d bytes are taken", blocks.Blocks*512)
	}
	for request, want := range map[string]string{
		"stat /file":          "User:     7   Group:     8",
		"cat /hard":           "content",
		"stat /hard":          "Links: 2",
		"stat /soft":          `Fast link dest: "file"`,
		"ea_list /file":       `user.colour (3) = "red"`,
		"stat /":              "Mode:  0750",
		"show_super_stats -h": "has_journal",
	} {
		if got := debugfs(t, d, request); !strings.Contains(got, want) {
			t.Errorf("%s: %s\nlacks %q", request, got, want)
		}
	}
	marker := []byte("kept")
	if _, err := f.WriteAt(marker, 0); err != nil { // ext4 leaves the first 1024 bytes alone
		t.Fatal(err)
	}
	f.Close()
	again := openDisk(t, d)
	got := make([]byte, len(marker))
	if _, err := again.ReadAt(got, 0); err != nil || !bytes.Equal(got, marker) {
		t.Errorf("the disk was made anew: %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.Root, "disks", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDiskHasOneUser(t *testing.T) {
	d := newDisk(t)
	f := openDisk(t, d)
	if _, err := d.Open(t.Context()); !errors.Is(err, ErrDiskInUse) {
		t.Errorf("a second user: %v", err)
	}
	f.Close()
	openDisk(t, d)
}

// TestDiskIsMadeOnce lets many machines come at once.
func TestDiskIsMadeOnce(t *testing.T) {
	d := newDisk(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won []*os.File
	for range 8 {
		wg.Go(func() {
			f, err := d.Open(t.Context())
			if err != nil {
				if !errors.Is(err, ErrDiskInUse) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			won = append(won, f)
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d machines have the disk, want 1", len(won))
	}
	for _, f := range won {
		f.Close()
	}
	openDisk(t, d)
}

// TestInterruptedDisk finds what a machine that was killed has left.
func TestInterruptedDisk(t *testing.T) {
	d := newDisk(t)
	left := filepath.Join(d.Root, "disks", temporary("data"))
	if err := os.MkdirAll(filepath.Dir(left), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, bytes.Repeat([]byte("half"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	openDisk(t, d)
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestDiskMistakes(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, d *Disk, file string)
		want    string
	}{
		"no size":       {func(_ *testing.T, d *Disk, _ string) { d.Size = 0; d.Path = "/data" }, "does not exist, and it has no size"},
		"no folder":     {func(_ *testing.T, d *Disk, _ string) { d.Size = 0 }, "folder /disks/: no such file or directory"},
		"a folder":      {func(t *testing.T, _ *Disk, file string) { must(t, os.MkdirAll(file, 0o755)) }, "no regular file"},
		"a pipe":        {func(t *testing.T, _ *Disk, file string) { must(t, unix.Mkfifo(file, 0o600)) }, "no regular file"},
		"a link":        {func(t *testing.T, _ *Disk, file string) { must(t, os.Symlink("/etc/passwd", file)) }, "is a symbolic link"},
		"an empty file": {func(t *testing.T, _ *Disk, file string) { must(t, os.WriteFile(file, nil, 0o600)) }, "0 bytes"},
		"an odd size":   {func(t *testing.T, _ *Disk, file string) { must(t, os.WriteFile(file, []byte("x"), 0o600)) }, "1 bytes"},
		"too small":     {func(_ *testing.T, d *Disk, _ string) { d.Size = 4096 }, "mke2fs"},
		"no name":       {func(_ *testing.T, d *Disk, _ string) { d.Path = "/" }, "names no file"},
		"target is a file": {func(t *testing.T, d *Disk, _ string) {
			must(t, os.WriteFile(filepath.Join(d.Root, "target"), nil, 0o600))
		}, "is no folder"},
		"too full": {func(t *testing.T, d *Disk, _ string) {
			must(t, os.Mkdir(filepath.Join(d.Root, "target"), 0o755))
			must(t, os.WriteFile(filepath.Join(d.Root, "target", "large"), bytes.Repeat([]byte("x"), 32<<20), 0o600))
		}, "mke2fs"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			file := filepath.Join(d.Root, d.Path)
			if name != "no folder" {
				must(t, os.MkdirAll(filepath.Dir(file), 0o755))
			}
			test.prepare(t, d, file)
			f, err := d.Open(t.Context())
			if err == nil {
				f.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `disk "data"`) {
				t.Errorf("error %q lacks %q", err, test.want)
			}
			if left, _ := filepath.Glob(filepath.Join(d.Root, "disks", ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
