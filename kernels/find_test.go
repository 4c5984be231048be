package kernels

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
)

// somePlaces are those of a distribution that has its kernel in several forms.
var somePlaces = plan.KernelPlaces{
	Distribution: "some",
	Images:       []string{"/vmlinuz", "/boot/vmlinuz-*", "/lib/modules/*/vmlinuz"},
	Modules:      []string{"/lib/modules", "/usr/lib/modules"},
	Formats:      []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"},
}

// addKernel puts a kernel and its modules into a tree.
func addKernel(t testing.TB, dir, name, release string) {
	t.Helper()
	write(t, filepath.Join(dir, name), bzImageOf(release, compressGzip(t, pvhELF("kernel "+release))))
	for file, content := range moduleFiles(t) {
		write(t, filepath.Join(dir, "lib/modules", release, file), content)
	}
}

func link(t testing.TB, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func openTree(t testing.TB, dir string) *imagefs.Tree {
	t.Helper()
	tree, err := imagefs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

func TestFind(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(t *testing.T, dir string)
		want string // image and release
	}{
		"nothing": {func(*testing.T, string) {}, ""},
		"the newest of a folder": {func(t *testing.T, dir string) {
			addKernel(t, dir, "boot/vmlinuz-6.1.0-9", "6.1.0-9")
			addKernel(t, dir, "boot/vmlinuz-6.1.0-10", "6.1.0-10")
		}, "/boot/vmlinuz-6.1.0-10 6.1.0-10"},
		"a link first": {func(t *testing.T, dir string) {
			addKernel(t, dir, "boot/vmlinuz-1", "1.0")
			addKernel(t, dir, "boot/vmlinuz-2", "2.0")
			link(t, "/boot/vmlinuz-1", filepath.Join(dir, "vmlinuz"))
		}, "/vmlinuz 1.0"},
		"named after a flavour": {func(t *testing.T, dir string) {
			addKernel(t, dir, "boot/vmlinuz-virt", "6.6.1-0-virt")
		}, "/boot/vmlinuz-virt 6.6.1-0-virt"},
		"beside its modules": {func(t *testing.T, dir string) {
			addKernel(t, dir, "lib/modules/5.15/vmlinuz", "5.15")
		}, "/lib/modules/5.15/vmlinuz 5.15"},
		"the next when one is broken": {func(t *testing.T, dir string) {
			addKernel(t, dir, "boot/vmlinuz-1", "1.0")
			link(t, "boot/missing", filepath.Join(dir, "vmlinuz"))
		}, "/boot/vmlinuz-1 1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(t, dir)
			found, _ := Find(openTree(t, dir), []plan.KernelPlaces{somePlaces})
			got := ""
			if found != nil {
				got = found.Image + " " + found.Version
				if found.Modules != "/lib/modules/"+found.Version || found.Distribution != "some" {
					t.Errorf("found %+v", found)
				}
			}
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFindHostile has images made to harm who looks into them: each is refused
// with a reason, and soon.
func TestFindHostile(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "vmlinuz")
	write(t, outside, bzImageOf("6.1", compressGzip(t, pvhELF("of the host"))))
	good := bzImageOf("6.1", compressGzip(t, pvhELF("kernel")))
	arm := make([]byte, 4096)
	copy(arm, "MZ")
	copy(arm[0x38:], "ARM\x64")
	old := bytes.Clone(good)
	old[offLoadFlags] = 0
	for name, tt := range map[string]struct {
		make func(dir, vmlinuz string) error
		says string
	}{
		"a link out of it":         {func(_, v string) error { return os.Symlink(outside, v) }, "leads to nothing"},
		"a climbing link":          {func(_, v string) error { return os.Symlink("../../../.."+outside, v) }, "leads to nothing"},
		"a loop of links":          {func(_, v string) error { return os.Symlink("vmlinuz", v) }, "loop of links"},
		"a folder":                 {func(_, v string) error { return os.MkdirAll(v, 0o755) }, "directory"},
		"a FIFO":                   {func(_, v string) error { return unix.Mkfifo(v, 0o644) }, "FIFO"},
		"a sparse file of 4 GiB":   {func(_, v string) error { return sparse(v, good, 4<<30) }, "too large"},
		"an empty file":            {func(_, v string) error { return os.WriteFile(v, nil, 0o644) }, "not an x86 kernel image"},
		"a text":                   {func(_, v string) error { return os.WriteFile(v, []byte("#!/bin/sh\n"), 0o644) }, "not an x86 kernel image"},
		"cut short":                {func(_, v string) error { return os.WriteFile(v, good[:len(good)-20], 0o644) }, "not within the file"},
		"another architecture":     {func(_, v string) error { return os.WriteFile(v, arm, 0o644) }, "64-bit ARM"},
		"32-bit":                   {func(_, v string) error { return os.WriteFile(v, old, 0o644) }, "32-bit x86"},
		"no modules":               {func(_, v string) error { return os.WriteFile(v, good, 0o644) }, "no modules are in /lib/modules/6.1"},
		"a release that climbs":    {func(_, v string) error { return os.WriteFile(v, bzImageOf("../../etc", good), 0o644) }, "tells no release"},
		"a release without an end": {func(_, v string) error { return os.WriteFile(v, bzImageOf(strings.Repeat("a", 300), good), 0o644) }, "tells no release"},
		"modules that are no folder": {func(dir, v string) error {
			err := os.MkdirAll(filepath.Join(dir, "lib/modules"), 0o755)
			return errors.Join(err, unix.Mkfifo(filepath.Join(dir, "lib/modules/6.1"), 0o644), os.WriteFile(v, good, 0o644))
		}, "no modules are in"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.make(dir, filepath.Join(dir, "vmlinuz")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			kernel, unusable, err := OfImage(dir, []plan.KernelPlaces{somePlaces}, "/nonexistent")
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if kernel != nil || err != nil || len(unusable) != 1 || !strings.Contains(unusable[0].Reason, tt.says) {
				t.Errorf("%+v, %+v, %v; want one that says %q", kernel, unusable, err, tt.says)
			}
		})
	}
}

func sparse(name string, head []byte, size int64) error {
	return errors.Join(os.WriteFile(name, head, 0o644), os.Truncate(name, size))
}

// TestHostileModules has a good kernel among modules made to harm.
func TestHostileModules(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(modules string) error
		says   string
	}{
		"a cycle": {func(m string) error {
			return os.WriteFile(filepath.Join(m, "modules.dep"), []byte("a/virtio_net.ko: a/b.ko\na/b.ko: a/virtio_net.ko\n"), 0o644)
		}, "need each other"},
		"a chain": {func(m string) error {
			var dep strings.Builder
			dep.WriteString("virtio_net.ko: m0.ko\n")
			for i := range 100_000 {
				dep.WriteString(strings.NewReplacer("X", itoa(i), "Y", itoa(i+1)).Replace("mX.ko: mY.ko\n"))
			}
			return os.WriteFile(filepath.Join(m, "modules.dep"), []byte(dep.String()), 0o644)
		}, "more than 128"},
		"a path that climbs": {func(m string) error {
			return os.WriteFile(filepath.Join(m, "modules.dep"), []byte("../../../virtio_pci.ko:\n"), 0o644)
		}, "not a path below it"},
		"a list of 4 GiB": {func(m string) error { return sparse(filepath.Join(m, "modules.dep"), nil, 4<<30) }, "too large"},
		"a list that is a FIFO": {func(m string) error {
			return errors.Join(os.Remove(filepath.Join(m, "modules.dep")), unix.Mkfifo(filepath.Join(m, "modules.dep"), 0o644))
		}, "FIFO"},
		"a module that leads out": {func(m string) error {
			name := filepath.Join(m, "kernel/v/virtio_ring.ko")
			return errors.Join(os.Remove(name), os.Symlink("/proc/self/mem", name))
		}, "no such file"},
		"a module of 4 GiB": {func(m string) error { return sparse(filepath.Join(m, "kernel/v/virtio_ring.ko"), nil, 4<<30) }, "too large"},
		"no virtio_net": {func(m string) error {
			return os.WriteFile(filepath.Join(m, "modules.dep"), moduleDepWithout("virtio_net"), 0o644)
		}, "has no virtio_net"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			addKernel(t, dir, "vmlinuz", "6.1")
			guest := filepath.Join(t.TempDir(), "guest")
			write(t, guest, fakeELF("guest"))
			if kernel, unusable, err := OfImage(dir, []plan.KernelPlaces{somePlaces}, guest); kernel == nil || err != nil {
				t.Fatalf("the good one: %+v, %v", unusable, err)
			}
			if err := tt.change(filepath.Join(dir, "lib/modules/6.1")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			kernel, unusable, err := OfImage(dir, []plan.KernelPlaces{somePlaces}, guest)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if kernel != nil || err != nil || len(unusable) != 1 || !strings.Contains(unusable[0].Reason, tt.says) {
				t.Errorf("%+v, %+v, %v; want one that says %q", kernel, unusable, err, tt.says)
			}
		})
	}
}

func TestManyBrokenKernels(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		write(t, filepath.Join(dir, "boot/vmlinuz-"+itoa(i)), []byte("none"))
	}
	if _, unusable := Find(openTree(t, dir), []plan.KernelPlaces{somePlaces}); len(unusable) != maxUnusable {
		t.Errorf("%d are told about", len(unusable))
	}
}

func TestScanWithoutIndex(t *testing.T) {
	dir := t.TempDir()
	for name, depends := range map[string]string{
		"virtio-pci.ko": "virtio,virtio_ring", "virtio.ko": "virtio_ring", "virtio_ring.ko": "", "other.ko": "virtio",
	} {
		write(t, filepath.Join(dir, name), moduleELF(depends))
	}
	write(t, filepath.Join(dir, "virtio_pci.txt"), []byte("no module"))
	lists := []ModuleList{{Name: "load", Required: []string{"virtio_pci"}}}
	modules, err := readModules(os.DirFS(dir), []string{".ko"}, lists)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range modules.lists[0].files {
		got = append(got, m.path)
	}
	if diff := cmp.Diff([]string{"virtio_ring.ko", "virtio.ko", "virtio-pci.ko"}, got); diff != "" {
		t.Errorf("load order (-want +got):\n%s", diff)
	}
	if _, err := readModules(os.DirFS(dir), []string{".ko.gz"}, lists); err == nil {
		t.Error("modules of another format are taken")
	}
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"5.15.0-9", "5.15.0-43-generic", "6.1.0~rc1", "6.1.0", "6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.0", "virt"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := min(1, max(-1, i-j))
			if got := CompareVersions(a, b); min(1, max(-1, got)) != want {
				t.Errorf("%s and %s: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestHasPVH(t *testing.T) {
	for name, tt := range map[string]struct {
		image []byte
		want  bool
		fails bool
	}{
		"with the note":   {pvhELF("x"), true, false},
		"another note":    {elfWithNote("Xen", 5, "x"), false, false},
		"another name":    {elfWithNote("GNU", notePVH, "x"), false, false},
		"no ELF":          {[]byte("text"), false, true},
		"cut short":       {pvhELF("x")[:70], false, true},
		"a note too long": {longNote(), false, false},
	} {
		got, err := HasPVH(bytes.NewReader(tt.image))
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// FuzzImage reads what may be a kernel: nothing of it makes the reader fail
// but by an error.
func FuzzImage(f *testing.F) {
	f.Add(bzImageOf("6.1.0", compressGzip(f, pvhELF("kernel"))))
	f.Add(pvhELF("kernel"))
	f.Add(moduleELF("virtio"))
	f.Fuzz(func(t *testing.T, image []byte) {
		release, err := ReadRelease(bytes.NewReader(image), int64(len(image)))
		if err == nil && (!ValidRelease(release) || strings.ContainsAny(release, "/\x00")) {
			t.Errorf("release %q", release)
		}
		_, _ = HasPVH(bytes.NewReader(image))
		_, _ = modinfoDepends(image)
	})
}
