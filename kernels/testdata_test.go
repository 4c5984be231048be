package kernels

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// fakeELF is the start of an ELF file and some text.
func fakeELF(text string) []byte { return append([]byte("\x7fELF"), text...) }

// pvhELF is a 64-bit ELF file that has a program header for notes, the note of
// PVH in it, and some text at its end.
func pvhELF(text string) []byte { return elfWithNote("Xen", notePVH, text) }

func elfWithNote(name string, kind uint32, text string) []byte {
	var note []byte
	note = binary.LittleEndian.AppendUint32(note, uint32(len(name)+1))
	note = binary.LittleEndian.AppendUint32(note, 4)
	note = binary.LittleEndian.AppendUint32(note, kind)
	note = append(note, name...)
	note = append(note, make([]byte, 4-len(name)%4)...)
	note = binary.LittleEndian.AppendUint32(note, 0x1000000) // the entry
	var b bytes.Buffer
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	prog := elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 64 + 56, Filesz: uint64(len(note)), Align: 4}
	for _, part := range []any{header, prog} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	b.Write(note)
	b.WriteString(text)
	return b.Bytes()
}

// bzImage makes a kernel image of no release whose payload is given.
func bzImage(payload []byte) []byte { return bzImageOf("", payload) }

// bzImageOf makes a 64-bit kernel image.
func bzImageOf(release string, payload []byte) []byte {
	const (
		sects  = 3
		textAt = 0x800
	)
	image := make([]byte, (sects+1)*sectorSize+512)
	image[offSetupSects] = sects
	copy(image[offMagic:], "HdrS")
	binary.LittleEndian.PutUint16(image[offVersion:], 0x020f)
	binary.LittleEndian.PutUint16(image[offKernelVersion:], textAt-0x200)
	binary.LittleEndian.PutUint16(image[offLoadFlags:], loadFlag64)
	binary.LittleEndian.PutUint32(image[offPayloadOffset:], 512)
	binary.LittleEndian.PutUint32(image[offPayloadLength:], uint32(len(payload)))
	copy(image[textAt:], release+" (somebody@somewhere) #1 SMP\x00")
	return append(image, payload...)
}

func withSize(compressed []byte, size int) []byte {
	return binary.LittleEndian.AppendUint32(compressed, uint32(size))
}

func compressGzip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressXZ(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressZstd(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func compressLZ4(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(lz4.LegacyOption(true)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packageTree makes an unpacked kernel package with depmod's files in place.
func packageTree(t testing.TB, version string) string {
	t.Helper()
	tree := t.TempDir()
	modules := filepath.Join("usr/lib/modules", version)
	write(t, filepath.Join(tree, "boot/vmlinuz-"+version), bzImageOf(version, compressGzip(t, pvhELF("kernel"))))
	for name, content := range moduleFiles(t) {
		write(t, filepath.Join(tree, modules, name), content)
	}
	if err := os.Symlink("/usr/src/missing", filepath.Join(tree, modules, "build")); err != nil {
		t.Fatal(err)
	}
	return tree
}

const moduleDep = `kernel/v/virtio.ko.gz: kernel/v/virtio_ring.ko
kernel/v/virtio_ring.ko:
kernel/v/virtio-pci.ko.xz: kernel/v/virtio_pci_modern_dev.ko kernel/v/virtio.ko.gz kernel/v/virtio_ring.ko
kernel/v/virtio_pci_modern_dev.ko:
kernel/v/virtio_console.ko: kernel/v/virtio.ko.gz kernel/v/virtio_ring.ko kernel/fs/fuse.ko
kernel/net/virtio_net.ko.zst: kernel/net/net_failover.ko kernel/v/virtio.ko.gz kernel/v/virtio_ring.ko
kernel/net/net_failover.ko:
kernel/net/unrelated.ko:
kernel/net/vmw_vsock_virtio_transport.ko: kernel/net/vsock.ko kernel/v/virtio.ko.gz kernel/v/virtio_ring.ko
kernel/net/vsock.ko:
kernel/v/virtio_mmio.ko: kernel/v/virtio.ko.gz kernel/v/virtio_ring.ko
kernel/net/vmxnet3.ko:
kernel/v/virtio_blk.ko: kernel/v/virtio.ko.gz kernel/v/virtio_ring.ko
`

// moduleFiles is a modules folder: one built-in module, one in each form of
// compression, and names with both kinds of dashes.
func moduleFiles(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"modules.builtin":                     []byte("kernel/fs/virtiofs.ko\nkernel/fs/fuse.ko\n"),
		"modules.dep":                         []byte(moduleDep),
		"kernel/v/virtio.ko.gz":               compressGzip(t, fakeELF("virtio")),
		"kernel/v/virtio_ring.ko":             fakeELF("virtio_ring"),
		"kernel/v/virtio-pci.ko.xz":           compressXZ(t, fakeELF("virtio_pci")),
		"kernel/v/virtio_pci_modern_dev.ko":   fakeELF("virtio_pci_modern_dev"),
		"kernel/v/virtio_console.ko":          fakeELF("virtio_console"),
		"kernel/net/virtio_net.ko.zst":        compressZstd(t, fakeELF("virtio_net")),
		"kernel/net/net_failover.ko":          fakeELF("net_failover"),
		"kernel/net/unrelated.ko":             fakeELF("unrelated"),
		"kernel/net/not-in-modules-dep-yet.o": nil,
		"kernel/net/vsock.ko":                 fakeELF("vsock"),
		"kernel/v/virtio_mmio.ko":             fakeELF("virtio_mmio"),
		"kernel/net/vmxnet3.ko":               fakeELF("vmxnet3"),
		"kernel/v/virtio_blk.ko":              fakeELF("virtio_blk"),

		"kernel/net/vmw_vsock_virtio_transport.ko": fakeELF("vmw_vsock_virtio_transport"),
	}
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// moduleELF is a kernel module that tells what it needs, and nothing else.
func moduleELF(depends string) []byte {
	info := []byte("license=GPL\x00depends=" + depends + "\x00name=x\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	header := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(64 + len(info) + len(names)), Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(info)), Size: uint64(len(names))},
	}
	var b bytes.Buffer
	for _, part := range []any{header, info, names, sections} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// longNote is a kernel whose note claims more than there is.
func longNote() []byte {
	image := pvhELF("x")
	binary.LittleEndian.PutUint32(image[64+56:], 1<<31)
	return image
}

// moduleDepWithout is the modules.dep of moduleFiles without a module.
func moduleDepWithout(name string) []byte {
	var kept []byte
	for line := range bytes.Lines([]byte(moduleDep)) {
		if file, _, _ := bytes.Cut(line, []byte(":")); moduleName(string(file)) != name {
			kept = append(kept, line...)
		}
	}
	return kept
}

func itoa(i int) string { return strconv.Itoa(i) }
