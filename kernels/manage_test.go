package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/engine/plan"
)

// install installs kernels of these releases.
func install(t *testing.T, releases ...string) ImportOptions {
	t.Helper()
	o := options(t, releases[0])
	for _, release := range releases {
		o.Tree = packageTree(t, release)
		if _, err := Import(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func lookup(t *testing.T, prefix, name string) plan.InstalledKernel {
	t.Helper()
	k, err := LookupName(prefix, name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRemove(t *testing.T) {
	o := install(t, "6.1.0-10", "6.1.0-9", "6.1.0-11")
	dir := filepath.Join(o.Prefix, "kernels/debian")
	if err := Remove(o.Prefix, lookup(t, o.Prefix, "debian")); err != nil {
		t.Fatal(err)
	}
	onlyEntries(t, dir, "6.1.0-10", "6.1.0-9", "latest")
	if now, _ := os.Readlink(filepath.Join(dir, "latest")); now != "6.1.0-10" {
		t.Errorf("the default is %q now", now)
	}
	for _, name := range []string{"debian/6.1.0-9", "debian/6.1.0-10"} {
		if err := Remove(o.Prefix, lookup(t, o.Prefix, name)); err != nil {
			t.Fatal(err)
		}
	}
	onlyEntries(t, filepath.Join(o.Prefix, "kernels"))
}

func TestRemoveWhatIsHeld(t *testing.T) {
	o := install(t, "6.1.0-1")
	k := lookup(t, o.Prefix, "debian/6.1.0-1")
	release, err := Hold(k.HostDir)
	if err != nil {
		t.Fatal(err)
	}
	var used *InUseError
	if err := Remove(o.Prefix, k); !errors.As(err, &used) {
		t.Errorf("error %v, want one that says it is in use", err)
	}
	if err := Verify(k.HostDir); err != nil {
		t.Error(err)
	}
	release()
	if err := Remove(o.Prefix, k); err != nil {
		t.Error(err)
	}
	if _, err := Hold(k.HostDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v of a hold on what was removed", err)
	}
}

func TestLookup(t *testing.T) {
	o := install(t, "6.1.0-1")
	for _, name := range []string{"debian/6.1.0-2", "debain/6.1.0-1", "debian/..", "../debian", "", "debian/6.1.0-1/lib"} {
		var missing *NotInstalledError
		if _, err := LookupName(o.Prefix, name); !errors.As(err, &missing) || !strings.Contains(err.Error(), "debian/6.1.0-1") {
			t.Errorf("%q: error %v", name, err)
		}
	}
	if k := lookup(t, o.Prefix, "debian/latest"); k.Version != "6.1.0-1" {
		t.Errorf("latest is %+v", k)
	}
}

func TestImportRefusesNames(t *testing.T) {
	for _, name := range []string{"", "..", "a/b", "Debian", ".built", "-x"} {
		o := options(t, "6.1.0-1")
		o.Distribution = name
		if _, err := Import(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no name for a distribution") {
			t.Errorf("%q: error %v", name, err)
		}
		if entries, _ := os.ReadDir(o.Prefix); len(entries) != 0 {
			t.Errorf("%q left %v", name, entries)
		}
	}
}

func TestImportOfAnotherArchitecture(t *testing.T) {
	o := options(t, "6.1.0-1")
	image := make([]byte, 4096)
	copy(image, "MZ")
	copy(image[0x38:], "ARM\x64")
	write(t, filepath.Join(o.Tree, "boot/vmlinuz-6.1.0-1"), image)
	if _, err := Import(t.Context(), o); err == nil || !strings.Contains(err.Error(), "64-bit ARM") {
		t.Errorf("error %v", err)
	}
}

func TestLatestOfPeopleStays(t *testing.T) {
	o := install(t, "6.1.0-1")
	own := o
	own.Added, own.Tree = true, packageTree(t, "6.1.0-own")
	for _, step := range []struct {
		o    ImportOptions
		want string
	}{{own, "6.1.0-own"}, {o, "6.1.0-own"}} {
		if _, err := Import(t.Context(), step.o); err != nil {
			t.Fatal(err)
		}
		if k := lookup(t, o.Prefix, "debian"); k.Version != step.want {
			t.Errorf("the default is %s, want %s", k.Version, step.want)
		}
	}
	own.KeepLatest, own.Tree = true, packageTree(t, "6.1.0-other")
	if got, err := Import(t.Context(), own); err != nil || got.Kernel.Default {
		t.Errorf("%+v, %v: it is the default although the other was to stay it", got, err)
	}
}

func TestRefresh(t *testing.T) {
	o := install(t, "6.1.0-1", "6.1.0-2")
	if changed, err := Refresh(t.Context(), o.Prefix, o.Guest); err != nil || len(changed) != 0 {
		t.Errorf("the same guest: %v, %v", changed, err)
	}
	write(t, o.Guest, fakeELF("newer"))
	changed, err := Refresh(t.Context(), o.Prefix, o.Guest)
	if err != nil || len(changed) != 2 {
		t.Errorf("another guest: %v, %v", changed, err)
	}
	for _, k := range changed {
		if err := Verify(k.HostDir); err != nil {
			t.Error(err)
		}
		archive, err := os.ReadFile(filepath.Join(k.HostDir, plan.KernelInitrd))
		if err != nil || unpack(t, archive)["init"] != "\x7fELFnewer" {
			t.Errorf("%s has another guest, %v", k.Version, err)
		}
	}
}

func TestInventory(t *testing.T) {
	o := install(t, "6.1.0-1", "6.1.0-2")
	_, k, guest := imageKernel(t, o.Prefix, "6.6.0")
	ensure(t, k, guest)
	write(t, filepath.Join(o.Prefix, "kernels/debian/6.1.0-1/vmlinuz"), []byte("damage"))
	i, err := TakeInventory(o.Prefix)
	if err != nil || len(i.Kernels) != 2 || len(i.Built) != 1 {
		t.Fatalf("%+v, %v", i, err)
	}
	if got := i.Kernels[1]; got.Name != "debian/6.1.0-2" || !got.Latest || got.Package != o.Package || len(got.Modules) == 0 || got.Users != 0 {
		t.Errorf("%+v", got)
	}
	results, err := VerifyAll(o.Prefix, nil)
	if err != nil || len(results) != 3 || results[0].Problem == "" || results[1].Problem != "" || results[2].Problem != "" {
		t.Errorf("%+v, %v", results, err)
	}
	if _, err := VerifyAll(o.Prefix, []string{"debian/7"}); err == nil {
		t.Error("a kernel that is not there is verified")
	}
}
