package kernels

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/runcvm/runcvm/engine/plan"
)

func moduleFS(t *testing.T, change map[string]string) fs.FS {
	files := moduleFiles(t)
	for name, content := range change {
		files[name] = []byte(content)
	}
	dir := fstest.MapFS{}
	for name, content := range files {
		dir[name] = &fstest.MapFile{Data: content}
	}
	return dir
}

func TestBuildInitramfs(t *testing.T) {
	var archive bytes.Buffer
	o := InitramfsOptions{
		Guest:   fakeELF("guest"),
		Modules: moduleFS(t, nil),
		Lists:   Lists,
	}
	made, err := BuildInitramfs(&archive, o)
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string][]string{
		"load":               {"virtio_ring.ko", "virtio.ko", "net_failover.ko", "virtio_net.ko"},
		"load.pci":           {"virtio_pci_modern_dev.ko", "virtio_pci.ko"},
		"load.mmio":          {"virtio_mmio.ko"},
		"load.virtio-serial": {"virtio_console.ko"},
		"load.vsock":         {"vsock.ko", "vmw_vsock_virtio_transport.ko"},
		"load.disk":          {"virtio_blk.ko"},
		"load.vmxnet3":       {"vmxnet3.ko"},
		"load.e1000e":        {}, "load.e1000": {}, "load.rtl8139": {},
	}
	// Lists of devices that this kernel has no drivers for are there, and empty.
	const empty = 4
	want := slices.Concat(lists["load"], lists["load.pci"], lists["load.mmio"], lists["load.virtio-serial"], lists["load.vsock"], lists["load.disk"], lists["load.vmxnet3"])
	if d := cmp.Diff(Initramfs{Modules: want, Can: plan.KernelAbilities{Vsock: true, MMIO: true, NICs: []string{"vmxnet3"}}}, made); d != "" {
		t.Errorf("made (-want +got):\n%s", d)
	}
	records := unpack(t, archive.Bytes())
	for name, want := range lists {
		if got := records["modules/"+name]; got != strings.Join(append(want, ""), "\n") {
			t.Errorf("modules/%s holds %q", name, got)
		}
	}
	for _, name := range want {
		if got, want := records["modules/"+name], "\x7fELF"+strings.TrimSuffix(name, ".ko"); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if records["init"] != "\x7fELFguest" {
		t.Errorf("init holds %q", records["init"])
	}
	// A kernel that finds it would ask it for modules while it boots.
	if found, ok := records["sbin/modprobe"]; ok {
		t.Errorf("sbin/modprobe is there: %q", found)
	}
	for _, dir := range []string{"dev", "proc", "sys", "dev/console", "dev/null"} {
		if _, ok := records[dir]; !ok {
			t.Errorf("%s is missing", dir)
		}
	}
	if want, got := 9+2+1+len(want)+len(lists)+empty, len(records); got != want {
		t.Errorf("%d records, want %d: %q", got, want, slices.Sorted(maps.Keys(records)))
	}

	var again bytes.Buffer
	if _, err := BuildInitramfs(&again, o); err != nil || !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Errorf("the same inputs gave other bytes (error %v)", err)
	}
}

func TestBuildInitramfsWithoutModules(t *testing.T) {
	var archive bytes.Buffer
	made, err := BuildInitramfs(&archive, InitramfsOptions{Guest: fakeELF("guest"), Lists: Lists})
	if err != nil || len(made.Modules) != 0 {
		t.Fatalf("%+v, %v; want no modules", made, err)
	}
	if got := unpack(t, archive.Bytes())["modules/load"]; got != "" {
		t.Errorf("modules/load holds %q", got)
	}
}

func TestBuildInitramfsErrors(t *testing.T) {
	var missing *MissingModuleError
	_, err := BuildInitramfs(&bytes.Buffer{}, InitramfsOptions{
		Modules: moduleFS(t, map[string]string{"modules.builtin": ""}), Lists: Lists,
	})
	if !errors.As(err, &missing) || missing.Name != "virtiofs" {
		t.Errorf("error %v, want one for the missing virtiofs", err)
	}
	for name, tt := range map[string]struct {
		change map[string]string
		says   string
	}{
		"no ELF":            {map[string]string{"kernel/v/virtio_ring.ko": "a text file"}, "virtio_ring"},
		"truncated":         {map[string]string{"kernel/v/virtio.ko.gz": "\x1f\x8b\x08\x00\x00\x00\x00"}, "virtio.ko.gz"},
		"empty":             {map[string]string{"kernel/v/virtio_ring.ko": ""}, "virtio_ring"},
		"leaves the folder": {map[string]string{"modules.dep": "../../etc/virtio_pci.ko:\n"}, "../../etc"},
		"absolute":          {map[string]string{"modules.dep": "/etc/virtio_pci.ko:\n"}, "/etc"},
		"not there":         {map[string]string{"modules.dep": "kernel/virtio_pci.ko:\n"}, "kernel/virtio_pci.ko"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := BuildInitramfs(&bytes.Buffer{}, InitramfsOptions{
				Modules: moduleFS(t, tt.change), Lists: []ModuleList{{Name: "load", Required: []string{"virtio_pci"}}},
			})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestLoadOrderOfCycle(t *testing.T) {
	dir := fstest.MapFS{"modules.dep": {Data: []byte("a.ko: b.ko\nb.ko: c.ko\nc.ko: b.ko\n")}}
	x, err := readModuleIndex(dir, allFormats)
	if err != nil {
		t.Fatal(err)
	}
	var cycle *CycleError
	if _, err := x.loadOrder(ModuleList{Required: []string{"a"}}, map[string]bool{}); !errors.As(err, &cycle) || strings.Join(cycle.Modules, " ") != "b c" {
		t.Errorf("error %v, want one that names b and c", err)
	}
}

func unpack(t *testing.T, data []byte) map[string]string {
	t.Helper()
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for i, r := range records {
		if r.MTime != 0 || r.Ino != uint64(i+1) {
			t.Errorf("%s: mtime %d, inode %d", r.Name, r.MTime, r.Ino)
		}
		content := make([]byte, r.FileSize)
		if r.FileSize > 0 {
			if _, err := r.ReadAt(content, 0); err != nil {
				t.Fatal(err)
			}
		}
		files[r.Name] = string(content)
	}
	return files
}
