// Package mountinfo reads a process's table of mounts, /proc/PID/mountinfo of
// proc(5).
package mountinfo

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a line of the table.
type Mount struct {
	ID     string // as statx(2) has it
	Device string // major:minor
	Root   string // the folder of the file system that is mounted
	Point  string // where
	Type   string // of the file system
	// Options are the file system's, as the kernel shows them.
	Options []string
}

// Each calls f for each mount in a table until f returns false.
func Each(name string, f func(Mount) bool) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return each(file, f)
}

func each(table io.Reader, f func(Mount) bool) error {
	s := bufio.NewScanner(table)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		// 36 35 98:0 /root /point options [optional:1 ...] - type source options
		end := slices.Index(fields, "-")
		if end < 6 || len(fields) < end+2 {
			continue
		}
		m := Mount{ID: fields[0], Device: fields[2], Root: unescape(fields[3]), Point: unescape(fields[4]), Type: fields[end+1]}
		if len(fields) > end+3 {
			for _, o := range strings.Split(fields[end+3], ",") {
				m.Options = append(m.Options, unescape(o))
			}
		}
		if !f(m) {
			return nil
		}
	}
	return s.Err()
}

// unescape undoes the table's octal escapes of space, tab, newline and
// backslash.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// IDOf is the ID of the mount that a path is on.
func IDOf(path string) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st); err != nil {
		return "", &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return strconv.FormatUint(st.Mnt_id, 10), nil
}
