package facts

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/runcvm/runcvm/internal/mountinfo"
)

// UpperDir is the folder in which an image's root keeps what the container
// writes, where the root is an overlayfs; else empty.
func UpperDir(root string) string {
	point, err := filepath.EvalSymlinks(root)
	if err != nil {
		return ""
	}
	id, err := mountinfo.IDOf(point)
	if err != nil {
		return ""
	}
	upper := ""
	_ = mountinfo.Each("/proc/self/mountinfo", func(m mountinfo.Mount) bool {
		if m.ID == id && m.Type == "overlay" && m.Root == "/" && m.Point == point {
			upper = upperOf(m)
		}
		return m.ID != id
	})
	return upper
}

func upperOf(m mountinfo.Mount) string {
	for _, o := range m.Options {
		dir, ok := strings.CutPrefix(o, "upperdir=")
		if !ok {
			continue
		}
		if !filepath.IsAbs(dir) {
			// Docker mounts an image of many layers from within its folder of all
			// containers: that of ID/merged and ID/diff.
			dir = filepath.Join(m.Point, "../..", dir)
		}
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}
