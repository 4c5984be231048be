package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// Snapshot is what a test could leave behind. It counts nothing that other
// processes of the machine do meanwhile.
type Snapshot struct {
	FDs        map[string]int // this process's open files by what they are, e.g. "/dev/net/tun"
	Mounts     []string       // mount points below the folders asked for
	Namespaces []string       // network namespaces of this process's threads and of its children
	Links      []string       // the product's interfaces in this network namespace
	Children   []string       // processes whose parent is this one: "pid comm"
}

// TakeSnapshot looks at this process, its children and the mounts below
// folders. What the Go runtime polls with is left out of the open files.
func TakeSnapshot(folders ...string) (Snapshot, error) {
	var s Snapshot
	var err error
	if s.FDs, err = openFiles(); err != nil {
		return s, err
	}
	if s.Mounts, err = mountPoints(folders); err != nil {
		return s, err
	}
	children, err := childProcesses()
	if err != nil {
		return s, err
	}
	for _, pid := range append(children, strconv.Itoa(os.Getpid())) {
		s.Namespaces = append(s.Namespaces, threadNamespaces(pid)...)
	}
	slices.Sort(s.Namespaces)
	s.Namespaces = slices.Compact(s.Namespaces)
	for _, pid := range children {
		comm, _ := os.ReadFile("/proc/" + pid + "/comm") // it may have ended
		s.Children = append(s.Children, pid+" "+strings.TrimSpace(string(comm)))
	}
	links, err := netlink.LinkList()
	if err != nil {
		return s, fmt.Errorf("list network interfaces: %w", err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, "runcvm") {
			s.Links = append(s.Links, l.Attrs().Name)
		}
	}
	return s, nil
}

// Leaked lists what is in s and was not in before.
func (s Snapshot) Leaked(before Snapshot) []string {
	var out []string
	for name, n := range s.FDs {
		if n > before.FDs[name] {
			out = append(out, fmt.Sprintf("%d more descriptors of %s", n-before.FDs[name], name))
		}
	}
	for _, kind := range []struct {
		name        string
		now, before []string
	}{
		{"mount", s.Mounts, before.Mounts},
		{"network namespace", s.Namespaces, before.Namespaces},
		{"interface", s.Links, before.Links},
		{"child process", s.Children, before.Children},
	} {
		rest := slices.Clone(kind.before)
		for _, item := range kind.now {
			if i := slices.Index(rest, item); i >= 0 {
				rest = slices.Delete(rest, i, i+1)
				continue
			}
			out = append(out, kind.name+" "+item)
		}
	}
	slices.Sort(out)
	return out
}

// NoLeaks fails the test when, at its end, something is left that was not there
// when NoLeaks was called; mounts are those below folders. Call it first:
// cleanups run in reverse order. Such tests must not run in parallel with others
// of their process.
func NoLeaks(t testing.TB, folders ...string) {
	t.Helper()
	before, err := TakeSnapshot(folders...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Eventually(t, 10*time.Second, func() error {
			after, err := TakeSnapshot(folders...)
			if err != nil {
				return err
			}
			if leaked := after.Leaked(before); len(leaked) > 0 {
				return fmt.Errorf("left behind:\n  %s", strings.Join(leaked, "\n  "))
			}
			return nil
		})
	})
}

func openFiles() (map[string]int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	files := map[string]int{}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/proc/") {
			continue // closed meanwhile, the Go runtime's poller, or this listing itself
		}
		// Two sockets differ by a number that says nothing.
		if kind, _, ok := strings.Cut(target, ":["); ok {
			target = kind
		}
		files[target]++
	}
	return files, nil
}

func mountPoints(folders []string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && slices.ContainsFunc(folders, func(f string) bool {
			return fields[4] == f || strings.HasPrefix(fields[4], strings.TrimSuffix(f, "/")+"/")
		}) {
			points = append(points, fields[4])
		}
	}
	slices.Sort(points)
	return points, nil
}

// childProcesses lists the processes whose parent is this one.
func childProcesses() (pids []string, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parent := fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err == nil && strings.Contains(string(status), parent) {
			pids = append(pids, e.Name())
		}
	}
	return pids, nil
}

// threadNamespaces lists the network namespaces of a process's threads. Threads
// that end meanwhile are no error.
func threadNamespaces(pid string) (namespaces []string) {
	tasks, _ := filepath.Glob("/proc/" + pid + "/task/*/ns/net") // the pattern is well-formed
	for _, task := range tasks {
		if ns, err := os.Readlink(task); err == nil {
			namespaces = append(namespaces, ns)
		}
	}
	return namespaces
}
