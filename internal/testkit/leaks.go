package testkit

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// Snapshot is what a test could leave behind.
type Snapshot struct {
	FDs        map[string]int // this process's open files by what they are, e.g. "/dev/net/tun"
	Mounts     []string       // mount points of this mount namespace
	Namespaces []string       // network namespaces that some process lives in
	Links      []string       // interfaces of this network namespace
	Children   []string       // processes whose parent is this one: "pid comm"
}

// TakeSnapshot looks at this process and machine. Sockets and pipes of the Go
// runtime (epoll, eventfd) are left out of the open files.
func TakeSnapshot() (Snapshot, error) {
	var s Snapshot
	var err error
	if s.FDs, err = openFiles(); err != nil {
		return s, err
	}
	if s.Mounts, err = mountPoints(); err != nil {
		return s, err
	}
	if s.Namespaces, s.Children, err = processes(); err != nil {
		return s, err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return s, fmt.Errorf("list network interfaces: %w", err)
	}
	for _, l := range links {
		s.Links = append(s.Links, l.Attrs().Name)
	}
	slices.Sort(s.Links)
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
// when NoLeaks was called. Call it first: cleanups run in reverse order. Such
// tests must not run in parallel with others of their process.
func NoLeaks(t testing.TB) {
	t.Helper()
	before, err := TakeSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Eventually(t, 10*time.Second, func() error {
			after, err := TakeSnapshot()
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

func mountPoints() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points = append(points, fields[4])
		}
	}
	slices.Sort(points)
	return points, nil
}

// processes lists the network namespaces of all processes, and the children of
// this one. Processes that end meanwhile are no error.
func processes() (namespaces, children []string, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil, err
	}
	parent := fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		if ns, err := os.Readlink("/proc/" + e.Name() + "/ns/net"); err == nil {
			namespaces = append(namespaces, ns)
		}
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err == nil && strings.Contains(string(status), parent) {
			name, _, _ := strings.Cut(strings.TrimPrefix(string(status), "Name:\t"), "\n")
			children = append(children, e.Name()+" "+name)
		}
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces), children, nil
}
