package harness

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Snapshot is what containers may leave behind, each thing in words.
type Snapshot []string

// Snapshot lists everything that exists now on behalf of this engine's
// containers: processes, links, mounts, network namespaces, cgroups, state folders.
// Queueing disciplines, which hold the filters of tc, and shared memory are those of
// the whole host. Docker's own network namespaces are mounts; it keeps their empty
// files for a minute more.
func (e *Engine) Snapshot() (Snapshot, error) {
	var s Snapshot
	s = append(s, e.processes()...)
	for _, args := range [][]string{{"-o", "link"}, {"-n", e.NetNS, "-o", "link"}} {
		links, err := links(args)
		if err != nil {
			return nil, err
		}
		s = append(s, links...)
	}
	for _, args := range [][]string{{"qdisc", "show"}, {"-n", e.NetNS, "qdisc", "show"}} {
		out, err := exec.Command("tc", args...).Output()
		if err != nil {
			return nil, fmt.Errorf("tc %s: %w", strings.Join(args, " "), err)
		}
		for line := range strings.Lines(string(out)) {
			s = append(s, fmt.Sprintf("%s (tc %s)", strings.TrimSpace(line), strings.Join(args, " ")))
		}
	}
	segments, err := sharedMemory()
	if err != nil {
		return nil, err
	}
	s = append(s, segments...)
	for _, m := range append(mountsBelow(e.Scratch), mountsBelow(RunDir())...) {
		if m == e.path("docker-run", "netns", "default") {
			continue // dockerd makes it for the first container of --network host, and keeps it
		}
		s = append(s, "mount "+m)
	}
	for _, glob := range []string{"/run/netns/*", RunDir() + "/state/*/*"} {
		found, err := filepath.Glob(glob)
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if !strings.HasPrefix(filepath.Base(path), scratchPattern) { // another run's engine
				s = append(s, "file "+path)
			}
		}
	}
	for _, dir := range cgroupDirs(e.cgroup() + "/*") {
		s = append(s, "cgroup "+dir)
	}
	return s, nil
}

// sharedMemory lists that of the host: POSIX's, which are files, and System V's.
func sharedMemory() ([]string, error) {
	files, err := filepath.Glob("/dev/shm/*")
	if err != nil {
		return nil, err
	}
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, path := range files {
		found = append(found, "file "+path)
	}
	_, rows, _ := strings.Cut(string(table), "\n") // the first line has the columns' names
	for row := range strings.Lines(rows) {
		if fields := strings.Fields(row); len(fields) > 1 {
			found = append(found, "shared memory segment "+fields[1])
		}
	}
	return found, nil
}

// Descriptors counts the open files of the engine's two daemons.
func (e *Engine) Descriptors() (int, error) {
	count := 0
	for _, c := range []*child{e.dockerd, e.containerd} {
		open, err := OpenFiles(c.proc.Pid)
		if err != nil {
			return 0, err
		}
		count += open
	}
	return count, nil
}

// OpenFiles counts those of a process.
func OpenFiles(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}

// LeftBehind polls until nothing is there that was not there before, and after
// the limit returns what still is.
func (e *Engine) LeftBehind(before Snapshot, limit time.Duration) ([]string, error) {
	deadline := time.Now().Add(limit)
	for {
		now, err := e.Snapshot()
		if err != nil {
			return nil, err
		}
		left := slices.DeleteFunc(now, func(s string) bool { return slices.Contains(before, s) })
		if len(left) == 0 || time.Now().After(deadline) {
			return left, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// processes lists those of the engine's containers and their shims: they are
// in its cgroup, or an argument names its folder.
func (e *Engine) processes() []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		cgroups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		pid := filepath.Base(dir)
		if e.isDaemon(pid) {
			continue
		}
		if bytes.Contains(cgroups, []byte(":"+e.cgroup()+"/")) || bytes.Contains(args, []byte(e.Scratch)) {
			found = append(found, fmt.Sprintf("process %s %s", pid, bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func (e *Engine) isDaemon(pid string) bool {
	for _, c := range []*child{e.dockerd, e.containerd} {
		if c != nil && fmt.Sprint(c.proc.Pid) == pid {
			return true
		}
	}
	return false
}

// links lists network links by name, of the namespace that args of ip(8) say.
func links(args []string) ([]string, error) {
	out, err := exec.Command("ip", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("ip %s: %w", strings.Join(args, " "), err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			names = append(names, fmt.Sprintf("link %s (ip %s)", strings.TrimSuffix(fields[1], ":"), strings.Join(args, " ")))
		}
	}
	return names, nil
}

// mountsBelow lists this process's mount points below a folder, the deepest
// first.
func mountsBelow(dir string) []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var points []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// The fifth field is the mount point (proc(5)).
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	slices.Reverse(points)
	return points
}

// cgroupDirs lists the folders of a cgroup in every hierarchy.
func cgroupDirs(name string) []string {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*" + name)
	v2, _ := filepath.Glob("/sys/fs/cgroup" + name)
	return slices.DeleteFunc(append(v1, v2...), func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	})
}
