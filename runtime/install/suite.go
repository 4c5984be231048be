package install

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// suite is a Debian release from which the tool root and the kernel are taken.
// It need not be the host's: the tool root has its own libc.
type suite struct {
	name     string
	packages []string // whose files, or those of their dependencies, are used
	// kernel is the metapackage that depends on the newest kernel.
	kernel        string
	virtiofsd     string // path in the tool root
	virtiofsdKind string // "c" or "rust"
}

// commonPackages: QEMU, its firmware, mke2fs for disks, depmod for kernels,
// terminal descriptions for the curses display.
var commonPackages = []string{
	"qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios", "ovmf", "ipxe-qemu", "e2fsprogs", "kmod", "ncurses-base",
}

var suites = []suite{
	{
		name:          "bookworm",
		packages:      commonPackages,
		kernel:        "linux-image-cloud-amd64",
		virtiofsd:     "/usr/lib/qemu/virtiofsd", // part of qemu-system-common
		virtiofsdKind: "c",
	},
	{
		name:          "trixie",
		packages:      slices.Concat(commonPackages, []string{"virtiofsd"}),
		kernel:        "linux-image-cloud-amd64",
		virtiofsd:     "/usr/libexec/virtiofsd",
		virtiofsdKind: "rust",
	},
}

// Suites returns the names of the supported Debian releases, the oldest first.
func Suites() []string {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// DefaultSuite is the host's own release where it is supported, else bookworm.
func DefaultSuite() string {
	if own := codename("/etc/os-release"); slices.Contains(Suites(), own) {
		return own
	}
	return suites[0].name
}

func findSuite(name string) (suite, error) {
	for _, s := range suites {
		if s.name == name {
			return s, nil
		}
	}
	return suite{}, fmt.Errorf("unsupported suite: QEMU and the kernel can come from %s, not from %q", strings.Join(Suites(), " or "), name)
}

// codename is VERSION_CODENAME of os-release(5); empty when unknown.
func codename(osRelease string) string {
	f, err := os.Open(osRelease)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}
