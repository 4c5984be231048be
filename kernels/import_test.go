package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
)

func options(t *testing.T, version string) ImportOptions {
	t.Helper()
	guest := filepath.Join(t.TempDir(), "runcvm-guest")
	write(t, guest, fakeELF("guest"))
	return ImportOptions{
		Prefix: t.TempDir(), Distribution: "debian", Package: "linux-image 1",
		Tree: packageTree(t, version), Guest: guest,
	}
}

func TestImport(t *testing.T) {
	o := options(t, "6.1.0-1")
	got, err := Import(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(o.Prefix, "kernels/debian/6.1.0-1")
	want := plan.InstalledKernel{
		Distribution: "debian", Version: "6.1.0-1", HostDir: dir, HasVmlinux: true, Default: true, KernelAbilities: plan.KernelAbilities{Vsock: true, MMIO: true, NICs: []string{"vmxnet3"}},
	}
	if d := cmp.Diff(want, got.Kernel); d != "" || !got.Changed {
		t.Errorf("changed %v (-want +got):\n%s", got.Changed, d)
	}
	if vmlinux, _ := os.ReadFile(filepath.Join(dir, "vmlinux")); !bytes.Equal(vmlinux, pvhELF("kernel")) {
		t.Errorf("vmlinux holds %q", vmlinux)
	}
	if err := Verify(dir); err != nil {
		t.Error(err)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vmlinuz", "vmlinux", "initramfs", "lib/modules/6.1.0-1/modules.dep"} {
		if m.Files[name] == "" {
			t.Errorf("the manifest lacks %s", name)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "lib/modules/6.1.0-1/build")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link to kernel headers was copied: %v", err)
	}
}

func TestImportTwiceChangesNothing(t *testing.T) {
	o := options(t, "6.1.0-1")
	if _, err := Import(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, o.Prefix)
	again, err := Import(t.Context(), o)
	if err != nil || again.Changed {
		t.Errorf("changed %v, error %v", again.Changed, err)
	}
	if d := cmp.Diff(before, snapshot(t, o.Prefix)); d != "" {
		t.Errorf("the second import changed (-before +after):\n%s", d)
	}
	if len(again.Modules) == 0 {
		t.Error("the second import tells no modules")
	}
}

func TestImportRebuilds(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, o *ImportOptions, dir string){
		"another guest": func(t *testing.T, o *ImportOptions, _ string) { write(t, o.Guest, fakeELF("newer")) },
		"another package version": func(_ *testing.T, o *ImportOptions, _ string) {
			o.Package = "linux-image 2"
		},
		"a damaged file": func(t *testing.T, _ *ImportOptions, dir string) {
			write(t, filepath.Join(dir, "initramfs"), []byte("damage"))
		},
		"a lost file": func(t *testing.T, _ *ImportOptions, dir string) {
			if err := os.Remove(filepath.Join(dir, "vmlinuz")); err != nil {
				t.Fatal(err)
			}
		},
		"a damaged manifest": func(t *testing.T, _ *ImportOptions, dir string) {
			write(t, filepath.Join(dir, "manifest.json"), []byte("{"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, "6.1.0-1")
			first, err := Import(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			change(t, &o, first.Kernel.HostDir)
			again, err := Import(t.Context(), o)
			if err != nil || !again.Changed {
				t.Errorf("changed %v, error %v", again.Changed, err)
			}
			if err := Verify(first.Kernel.HostDir); err != nil {
				t.Error(err)
			}
			if entries, _ := os.ReadDir(filepath.Dir(first.Kernel.HostDir)); len(entries) != 2 {
				t.Errorf("left beside the kernel: %v", entries)
			}
		})
	}
}

func TestImportLeavesNothingOnFailure(t *testing.T) {
	o := options(t, "6.1.0-1")
	write(t, filepath.Join(o.Tree, "usr/lib/modules/6.1.0-1/modules.builtin"), nil)
	if _, err := Import(t.Context(), o); err == nil || !strings.Contains(err.Error(), "virtiofs") {
		t.Errorf("error %v, want one that names virtiofs", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(o.Prefix, "kernels/debian")); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, options(t, "1")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a cancelled import", err)
	}
}

func TestImportRunsDepmod(t *testing.T) {
	o := options(t, "6.1.0-1")
	modules := filepath.Join(o.Tree, "usr/lib/modules/6.1.0-1")
	if err := os.Remove(filepath.Join(modules, "modules.dep")); err != nil {
		t.Fatal(err)
	}
	o.Depmod = []string{"sh", "-c", "echo no depmod today; exit 3", "depmod"}
	if _, err := Import(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no depmod today") {
		t.Errorf("error %v, want one with the command's words", err)
	}
	o.Depmod = nil
	testkit.Require(t, testkit.Program("depmod"))
	// The files are no modules, so that depmod finds no dependencies, but runs.
	if _, err := Import(t.Context(), o); err != nil {
		var missing *MissingModuleError
		if !errors.As(err, &missing) {
			t.Error(err)
		}
	}
}

func TestList(t *testing.T) {
	prefix := t.TempDir()
	if got, err := List(prefix); err != nil || len(got) != 0 {
		t.Errorf("an empty prefix: %v, %v", got, err)
	}
	o := options(t, "6.1.0-2")
	o.Prefix = prefix
	for _, version := range []string{"6.1.0-2", "6.1.0-1"} {
		o.Tree = packageTree(t, version)
		if _, err := Import(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(prefix, "kernels/debian/.new-1/vmlinuz"), nil)
	write(t, filepath.Join(prefix, "kernels/alpine/6.6/vmlinuz"), nil)
	got, err := List(prefix)
	if err != nil {
		t.Fatal(err)
	}
	top := filepath.Join(prefix, "kernels")
	want := []plan.InstalledKernel{
		{Distribution: "alpine", Version: "6.6", HostDir: top + "/alpine/6.6"},
		{Distribution: "debian", Version: "6.1.0-1", HostDir: top + "/debian/6.1.0-1", HasVmlinux: true, Default: true, KernelAbilities: plan.KernelAbilities{Vsock: true, MMIO: true, NICs: []string{"vmxnet3"}}},
		{Distribution: "debian", Version: "6.1.0-2", HostDir: top + "/debian/6.1.0-2", HasVmlinux: true, KernelAbilities: plan.KernelAbilities{Vsock: true, MMIO: true, NICs: []string{"vmxnet3"}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestVerifyNamesEveryProblem(t *testing.T) {
	o := options(t, "6.1.0-1")
	got, err := Import(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	dir := got.Kernel.HostDir
	write(t, filepath.Join(dir, "vmlinuz"), []byte("damage"))
	if err := os.Remove(filepath.Join(dir, "initramfs")); err != nil {
		t.Fatal(err)
	}
	err = Verify(dir)
	if err == nil || !strings.Contains(err.Error(), "vmlinuz") || !strings.Contains(err.Error(), "initramfs") {
		t.Errorf("error %v, want both files named", err)
	}
}

// snapshot tells each path's inode, time and mode: the content cannot change
// without one of them.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		all[path] = fmt.Sprintf("%v %d %v", info.Mode(), info.Size(), info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
