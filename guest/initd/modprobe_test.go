package initd

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestFilesOf looks modules up by what the kernel asks for.
func TestFilesOf(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"modules.dep":   "kernel/fs/overlayfs/overlay.ko:\nkernel/net/nf-tables.ko.xz: kernel/lib/libcrc32c.ko kernel/net/nfnetlink.ko\nkernel/lib/libcrc32c.ko:\nkernel/net/nfnetlink.ko:\nkernel/a.ko:\nkernel/b.ko:\n",
		"modules.alias": "# Aliases\nalias fs-overlay overlay\nalias nfnetlink-subsys-10 nf_tables\nalias char-major-10-23[1-5] a\nalias pci:v*d00001-x* a\nalias pci:v1* b\nalias net-pf-9 gone\nnonsense\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	needs, err := readDependencies(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"kernel/lib/libcrc32c.ko", "kernel/net/nfnetlink.ko"}; !slices.Equal(needs["kernel/net/nf-tables.ko.xz"], want) {
		t.Errorf("nf_tables needs %q, want %q", needs["kernel/net/nf-tables.ko.xz"], want)
	}
	for name, want := range map[string][]string{
		"overlay":             {"kernel/fs/overlayfs/overlay.ko"},
		"fs-overlay":          {"kernel/fs/overlayfs/overlay.ko"},
		"nf-tables":           {"kernel/net/nf-tables.ko.xz"},
		"nfnetlink-subsys-10": {"kernel/net/nf-tables.ko.xz"},
		"char-major-10-234":   {"kernel/a.ko"},
		"char-major-10-236":   nil,
		"pci:v1d00001-x9":     {"kernel/a.ko", "kernel/b.ko"},
		"net-pf-9":            nil,
		"../../etc/passwd":    nil,
		"":                    nil,
	} {
		got, err := filesOf(root, needs, name)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
}
