package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// qemuProcess is the QEMU of a container, as the host's /proc shows it.
type qemuProcess struct {
	t   *testing.T
	dir string // in /proc
}

// qemu finds the container's QEMU: a child of its PID 1.
func (c *container) qemu() qemuProcess {
	c.t.Helper()
	supervisor := c.inspect("{{.State.Pid}}")
	// Each is listed with the thread that started it.
	found, _ := filepath.Glob(filepath.Join("/proc", supervisor, "task", "*", "children"))
	for _, file := range found {
		children, _ := os.ReadFile(file)
		for pid := range strings.FieldsSeq(string(children)) {
			q := qemuProcess{t: c.t, dir: filepath.Join("/proc", pid)}
			if strings.Contains(q.read("cmdline"), "qemu-system") {
				return q
			}
		}
	}
	c.t.Fatalf("no QEMU among the children of %s", supervisor)
	return qemuProcess{}
}

func (q qemuProcess) read(name string) string {
	q.t.Helper()
	data, err := os.ReadFile(filepath.Join(q.dir, name))
	if err != nil {
		q.t.Fatal(err)
	}
	return string(data)
}

// threads are the names of its threads, sorted.
func (q qemuProcess) threads() []string {
	q.t.Helper()
	files, err := filepath.Glob(filepath.Join(q.dir, "task", "*", "comm"))
	if err != nil {
		q.t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if name, err := os.ReadFile(file); err == nil { // else it has ended
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	slices.Sort(names)
	return names
}

// openedDirect are the files in a folder of the host that it has open with
// O_DIRECT.
func (q qemuProcess) openedDirect(folder string) []string {
	q.t.Helper()
	opened := map[string]string{} // file name by device and inode
	entries, err := os.ReadDir(folder)
	if err != nil {
		q.t.Fatal(err)
	}
	for _, e := range entries {
		opened[identity(filepath.Join(folder, e.Name()))] = e.Name()
	}
	fds, err := os.ReadDir(filepath.Join(q.dir, "fd"))
	if err != nil {
		q.t.Fatal(err)
	}
	direct := map[string]bool{}
	for _, fd := range fds {
		name := opened[identity(filepath.Join(q.dir, "fd", fd.Name()))]
		_, after, _ := strings.Cut(q.read(filepath.Join("fdinfo", fd.Name())), "flags:")
		fields := strings.Fields(after)
		if name == "" || len(fields) == 0 {
			continue
		}
		flags, err := strconv.ParseInt(fields[0], 8, 64)
		if err != nil {
			q.t.Fatal(err)
		}
		if flags&syscall.O_DIRECT != 0 {
			direct[name] = true
		}
	}
	names := []string{}
	for name := range direct {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// identity is a file's device and inode, "" for one that is gone.
func identity(path string) string {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return ""
	}
	return strconv.FormatUint(st.Dev, 16) + ":" + strconv.FormatUint(st.Ino, 16)
}
