package image

import (
	"fmt"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
)

// maxOSRelease bounds an os-release in bytes; they have some hundred.
const maxOSRelease = 64 << 10

// Describe adds what the image below root says that it is, and whether it has
// the program modprobe. What cannot be read is as if it were not there: the
// image is not trusted to be in order.
func Describe(root string, i *plan.Image) error {
	tree, err := imagefs.Open(root)
	if err != nil {
		return fmt.Errorf("look into the image: %w", err)
	}
	defer tree.Close()
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if data, err := tree.ReadFile(name, maxOSRelease); err == nil {
			i.OSRelease = parseOSRelease(string(data))
			break
		}
	}
	for _, name := range []string{"/sbin/modprobe", "/usr/sbin/modprobe"} {
		if info, err := tree.Stat(name); err == nil && info.Mode().IsRegular() {
			i.Modprobe = true
			break
		}
	}
	return nil
}

// parseOSRelease reads the form of os-release(5): shell assignments without
// expansions. It returns nil without an ID.
func parseOSRelease(text string) *plan.OSRelease {
	var r plan.OSRelease
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		switch name {
		case "ID":
			r.ID = identifier(unquote(value))
		case "ID_LIKE":
			r.IDLike = nil
			for _, word := range strings.Fields(unquote(value)) {
				if word = identifier(word); word != "" && len(r.IDLike) < maxLike {
					r.IDLike = append(r.IDLike, word)
				}
			}
		}
	}
	if r.ID == "" && len(r.IDLike) == 0 {
		return nil
	}
	return &r
}

// maxLike is how many words of ID_LIKE count.
const maxLike = 16

// unquote undoes the shell's quoting of a value.
func unquote(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		s = s[1 : n-1]
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, "'", `\$`, "$", "\\`", "`").Replace(s)
}

// identifier is a word as os-release(5) allows it: lower-case letters, digits,
// dot, dash and underscore. Anything else is none.
func identifier(s string) string {
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return ""
	}
	return s
}
