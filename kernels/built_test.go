package kernels

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
)

// imageKernel makes an image with a kernel and returns the kernel's plan, as
// the engine would make it, and the guest program.
func imageKernel(t testing.TB, prefix, release string) (root string, k *plan.Kernel, guest string) {
	t.Helper()
	root = t.TempDir()
	addKernel(t, root, "vmlinuz", release)
	guest = filepath.Join(t.TempDir(), "guest")
	write(t, guest, fakeELF("guest"))
	return root, planFor(t, prefix, root, guest), guest
}

func planFor(t testing.TB, prefix, root, guest string) *plan.Kernel {
	t.Helper()
	found, unusable, err := OfImage(root, []plan.KernelPlaces{somePlaces}, guest)
	if found == nil {
		t.Fatalf("%+v, %v", unusable, err)
	}
	return &plan.Kernel{
		Source: "image", Distribution: found.Distribution, Version: found.Version,
		HostDir: filepath.Join(prefix, Dir, plan.KernelBuiltDir, found.Digest),
		Build:   &plan.KernelBuild{Root: root, Image: found.Image, Modules: found.Modules, Formats: somePlaces.Formats},
	}
}

func ensure(t testing.TB, k *plan.Kernel, guest string) {
	t.Helper()
	release, err := Ensure(t.Context(), k, guest)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestEnsure(t *testing.T) {
	_, k, guest := imageKernel(t, t.TempDir(), "6.1.0")
	ensure(t, k, guest)
	if got, _ := os.ReadFile(filepath.Join(k.HostDir, plan.KernelBoot)); !bytes.Equal(got, pvhELF("kernel 6.1.0")) {
		t.Errorf("what boots is %q", got)
	}
	archive, err := os.ReadFile(filepath.Join(k.HostDir, plan.KernelInitrd))
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, archive)
	if files["init"] != "\x7fELFguest" || !strings.Contains(files["modules/load"], "virtio_net.ko\n") {
		t.Errorf("the initramfs has %q to load", files["modules/load"])
	}
	m, err := ReadManifest(k.HostDir)
	if err != nil || m.Version != "6.1.0" || m.Builder != filepath.Base(k.HostDir) || len(m.Files) != 3 {
		t.Errorf("manifest %+v, %v", m, err)
	}
	before := snapshot(t, k.HostDir)
	ensure(t, k, guest)
	delete(before, k.HostDir) // its time is that of the last use
	for name, state := range snapshot(t, k.HostDir) {
		if name != k.HostDir && before[name] != state {
			t.Errorf("%s was built twice", name)
		}
	}
}

// TestEnsureWithoutPVH has a kernel that can only be booted as the bzImage.
func TestEnsureWithoutPVH(t *testing.T) {
	prefix := t.TempDir()
	root, _, guest := imageKernel(t, prefix, "6.1.0")
	image := bzImageOf("6.1.0", compressXZ(t, elfWithNote("Xen", 5, "kernel")))
	image = append(image, 0, 0, 0, 0)
	size := len(elfWithNote("Xen", 5, "kernel"))
	copy(image[len(image)-4:], []byte{byte(size), byte(size >> 8), 0, 0})
	payload := len(image) - len(bzImageOf("6.1.0", nil))
	copy(image[offPayloadLength:], []byte{byte(payload), byte(payload >> 8), 0, 0})
	write(t, filepath.Join(root, "vmlinuz"), image)
	k := planFor(t, prefix, root, guest)
	ensure(t, k, guest)
	if got, _ := os.ReadFile(filepath.Join(k.HostDir, plan.KernelBoot)); !bytes.Equal(got, image) {
		t.Error("what boots is not the bzImage")
	}
}

func TestEnsureAtTheSameTime(t *testing.T) {
	_, k, guest := imageKernel(t, t.TempDir(), "6.1.0")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			release, err := Ensure(t.Context(), k, guest)
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			if err := Verify(k.HostDir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	onlyEntries(t, filepath.Dir(k.HostDir), filepath.Base(k.HostDir))
}

func TestEnsureMendsDamage(t *testing.T) {
	_, k, guest := imageKernel(t, t.TempDir(), "6.1.0")
	ensure(t, k, guest)
	for name, damage := range map[string]func() error{
		"changed":     func() error { return os.WriteFile(filepath.Join(k.HostDir, plan.KernelBoot), []byte("x"), 0o644) },
		"cut short":   func() error { return os.Truncate(filepath.Join(k.HostDir, plan.KernelInitrd), 10) },
		"lost":        func() error { return os.Remove(filepath.Join(k.HostDir, plan.KernelInitrd)) },
		"no manifest": func() error { return os.Remove(filepath.Join(k.HostDir, plan.KernelManifest)) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			ensure(t, k, guest)
			if err := Verify(k.HostDir); err != nil {
				t.Error(err)
			}
			onlyEntries(t, filepath.Dir(k.HostDir), filepath.Base(k.HostDir))
		})
	}
}

func TestEnsureLeavesNothingOnFailure(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(root string) error
		is     error
	}{
		"the kernel changed": {func(root string) error {
			return os.WriteFile(filepath.Join(root, "vmlinuz"), bzImageOf("6.1.0", bytes.Repeat([]byte{1}, 64)), 0o644)
		}, ErrChanged},
		"a module changed": {func(root string) error {
			return os.WriteFile(filepath.Join(root, "lib/modules/6.1.0/kernel/v/virtio_ring.ko"), fakeELF("other"), 0o644)
		}, ErrChanged},
		"the kernel has gone": {func(root string) error { return os.Remove(filepath.Join(root, "vmlinuz")) }, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			root, k, guest := imageKernel(t, t.TempDir(), "6.1.0")
			if err := tt.change(root); err != nil {
				t.Fatal(err)
			}
			if _, err := Ensure(t.Context(), k, guest); !errors.Is(err, tt.is) {
				t.Errorf("error %v, want %v", err, tt.is)
			}
			onlyEntries(t, filepath.Dir(k.HostDir))
		})
	}
}

// TestEnsureOfABrokenPayload has a header in order and nonsense behind it,
// which only shows when it is unpacked.
func TestEnsureOfABrokenPayload(t *testing.T) {
	prefix := t.TempDir()
	root, _, guest := imageKernel(t, prefix, "6.1.0")
	write(t, filepath.Join(root, "vmlinuz"), bzImageOf("6.1.0", withSize(bytes.Repeat([]byte("nonsense"), 100), 16)))
	k := planFor(t, prefix, root, guest)
	if _, err := Ensure(t.Context(), k, guest); !errors.Is(err, ErrCompression) || !strings.Contains(err.Error(), "/vmlinuz") {
		t.Errorf("error %v", err)
	}
	onlyEntries(t, filepath.Dir(k.HostDir))
}

func TestBuiltFoldersAreBounded(t *testing.T) {
	prefix := t.TempDir()
	var first *plan.Kernel
	var held func()
	for i := range maxBuilt + 3 {
		_, k, guest := imageKernel(t, prefix, "6.1."+itoa(i))
		release, err := Ensure(t.Context(), k, guest)
		if err != nil {
			t.Fatal(err)
		}
		// In the order in which they were made, whatever the clock's grain.
		when := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(k.HostDir, when, when); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first, held = k, release
			continue
		}
		release()
	}
	dirs, err := Built(prefix)
	if err != nil || len(dirs) != maxBuilt {
		t.Errorf("%d are kept, %v", len(dirs), err)
	}
	if err := Verify(first.HostDir); err != nil {
		t.Errorf("the one that is held: %v", err)
	}
	held()
}

// onlyEntries wants nothing in dir but the named.
func onlyEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

func TestOfHost(t *testing.T) {
	root, _, guest := imageKernel(t, t.TempDir(), "6.1.0")
	modules := filepath.Join(root, "lib/modules/6.1.0")
	initramfs := filepath.Join(root, "initramfs")
	write(t, initramfs, []byte("an archive"))
	for name, tt := range map[string]struct {
		files plan.KernelFiles
		says  string // empty for files in order
	}{
		"with modules":      {plan.KernelFiles{Image: root + "/vmlinuz", Modules: modules}, ""},
		"with an initramfs": {plan.KernelFiles{Image: root + "/vmlinuz", Initramfs: initramfs}, ""},
		"alone":             {plan.KernelFiles{Image: root + "/vmlinuz"}, ""},
		"missing":           {plan.KernelFiles{Image: root + "/missing"}, "no such file"},
		"relative":          {plan.KernelFiles{Image: "vmlinuz"}, "not an absolute path"},
		"climbing":          {plan.KernelFiles{Image: root + "/../vmlinuz"}, "not an absolute path"},
		"no kernel":         {plan.KernelFiles{Image: initramfs}, "not an x86 kernel image"},
		"a device":          {plan.KernelFiles{Image: "/dev/zero"}, "device"},
		"modules missing":   {plan.KernelFiles{Image: root + "/vmlinuz", Modules: root + "/missing"}, "no such file"},
		"modules a file":    {plan.KernelFiles{Image: root + "/vmlinuz", Modules: initramfs}, "not a folder"},
		"an empty folder":   {plan.KernelFiles{Image: root + "/vmlinuz", Modules: t.TempDir()}, "has no virtiofs"},
	} {
		t.Run(name, func(t *testing.T) {
			got := OfHost(tt.files, guest)
			if tt.says == "" && (got.Problem != "" || got.Version != "6.1.0" || !strings.HasPrefix(got.Digest, digestPrefix)) ||
				!strings.Contains(got.Problem, tt.says) || tt.says != "" && got.Digest != "" {
				t.Errorf("%+v, want one that says %q", got, tt.says)
			}
		})
	}
}

// TestEnsureOfFiles builds from files of the host, with an initramfs that is
// given.
func TestEnsureOfFiles(t *testing.T) {
	prefix := t.TempDir()
	root, _, guest := imageKernel(t, prefix, "6.1.0")
	initramfs := filepath.Join(root, "initramfs")
	write(t, initramfs, []byte("an archive"))
	files := OfHost(plan.KernelFiles{Image: root + "/vmlinuz", Initramfs: initramfs}, guest)
	k := &plan.Kernel{
		Source: "files", Version: files.Version, HostDir: filepath.Join(prefix, Dir, plan.KernelBuiltDir, files.Digest),
		Build: &plan.KernelBuild{Root: "/", Image: files.Image, Initramfs: files.Initramfs},
	}
	ensure(t, k, guest)
	if got, _ := os.ReadFile(filepath.Join(k.HostDir, plan.KernelInitrd)); string(got) != "an archive" {
		t.Errorf("the initramfs is %q", got)
	}
}
