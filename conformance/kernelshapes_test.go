package conformance

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// shape is how a distribution's image keeps its kernel.
type shape struct {
	release string // /etc/os-release
	image   string // path of the kernel; VERSION stands for its release
	link    string // a link to it
	suffix  string // of compressed modules
	flat    bool   // all modules in one folder, without depmod's files
	cmdline string // a word that is on the command line
}

var shapes = map[string]shape{
	"debian":  {release: "ID=debian\n", image: "boot/vmlinuz-VERSION", link: "vmlinuz"},
	"ubuntu":  {release: "ID=ubuntu\nID_LIKE=debian\n", image: "boot/vmlinuz-VERSION", link: "boot/vmlinuz", suffix: ".zst"},
	"alpine":  {release: "ID=alpine\nVERSION_ID=3.20.0\n", image: "boot/vmlinuz-virt", suffix: ".gz"},
	"ol":      {release: "ID=\"ol\"\nID_LIKE=\"fedora\"\n", image: "lib/modules/VERSION/vmlinuz", suffix: ".xz", cmdline: "selinux=0"},
	"openwrt": {release: "ID=\"openwrt\"\nID_LIKE=\"lede openwrt\"\n", image: "boot/vmlinuz", flat: true},
}

// fill puts Debian's kernel into a root, in the shape of the distribution.
func (s shape) fill(t *testing.T, root string) {
	t.Helper()
	kernel, release := installedKernel(t)
	image := strings.ReplaceAll(s.image, "VERSION", release)
	put(t, filepath.Join(root, "etc/os-release"), s.release)
	put(t, filepath.Join(root, image), content(t, filepath.Join(kernel, "vmlinuz")))
	if s.link != "" {
		if err := os.Symlink("/"+image, filepath.Join(root, s.link)); err != nil {
			t.Fatal(err)
		}
	}
	from, to := filepath.Join(kernel, "lib/modules", release), filepath.Join(root, "lib/modules", release)
	put(t, filepath.Join(to, "modules.builtin"), content(t, filepath.Join(from, "modules.builtin")))
	var dep strings.Builder
	for _, module := range bootModules(t, kernel, from) {
		file := module.path + s.suffix
		if s.flat {
			file = path.Base(file)
		}
		put(t, filepath.Join(to, file), pack(t, s.suffix, content(t, filepath.Join(from, module.path))))
		fmt.Fprintf(&dep, "%s:", file)
		for _, need := range module.needs {
			fmt.Fprintf(&dep, " %s%s", need, s.suffix)
		}
		dep.WriteByte('\n')
	}
	if !s.flat {
		put(t, filepath.Join(to, "modules.dep"), dep.String())
	}
}

type kernelModule struct {
	path  string
	needs []string
}

// bootModules are the modules in the initramfs of an installed kernel.
func bootModules(t *testing.T, kernel, dir string) []kernelModule {
	t.Helper()
	var manifest struct{ Modules []string }
	if err := json.Unmarshal([]byte(content(t, filepath.Join(kernel, "manifest.json"))), &manifest); err != nil {
		t.Fatal(err)
	}
	var modules []kernelModule
	for line := range strings.Lines(content(t, filepath.Join(dir, "modules.dep"))) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		name := strings.ReplaceAll(path.Base(file), "-", "_")
		for _, m := range manifest.Modules {
			if m == name {
				modules = append(modules, kernelModule{file, strings.Fields(needs)})
			}
		}
	}
	if len(modules) == 0 || len(modules) != len(manifest.Modules) {
		t.Fatalf("%d of the modules %q are in modules.dep", len(modules), manifest.Modules)
	}
	return modules
}

// pack compresses a module.
func pack(t *testing.T, suffix, content string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch suffix {
	case "":
		return content
	case ".gz":
		w = gzip.NewWriter(&out)
	case ".xz":
		w, err = xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(&out)
	case ".zst":
		w, err = zstd.NewWriter(&out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
