package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// confinement is the control group of the container's processes, which is there
// once they are limited.
type confinement struct {
	mu  sync.Mutex
	dir string // of the group; empty without one
}

// Of the container's control group.
const (
	cgroupMount  = "/cgroup"   // the hierarchy's, in the agent's mount namespace
	cgroupName   = "container" // the group's
	cgroupProcs  = "cgroup.procs"
	pidsMax      = "pids.max"
	noPidsLimit  = "max"
	moveAttempts = 100
)

// LimitPids sets how many processes and threads the container may have; 0 or less
// is no limit. Before the root is built, whose mounts decide which version of
// control groups has the controller, it must not be called.
func (a *Agent) LimitPids(limit int64) error {
	if a.beside() {
		return errors.New("the entrypoint is the machine's own PID 1, whose processes are not limited")
	}
	c := &a.confinement
	c.mu.Lock()
	defer c.mu.Unlock()
	text := noPidsLimit
	if limit > 0 {
		text = strconv.FormatInt(limit, 10)
	}
	if c.dir == "" {
		if limit <= 0 {
			return nil
		}
		dir, err := makePidsGroup(cgroupMount)
		if err != nil {
			return fmt.Errorf("limit the container's processes: %w", err)
		}
		c.dir = dir
		if err := a.moveAll(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(c.dir, pidsMax), []byte(text), 0); err != nil {
		return fmt.Errorf("limit the container's processes to %s: %w", text, err)
	}
	return nil
}

// confine moves a process that is about to become one of the container's to its
// group.
func (a *Agent) confine(pid int) error {
	c := &a.confinement
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir == "" {
		return nil
	}
	return c.move(pid)
}

// move moves a process that may have ended.
func (c *confinement) move(pid int) error {
	err := os.WriteFile(filepath.Join(c.dir, cgroupProcs), []byte(strconv.Itoa(pid)), 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("move the process %d to the container's control group: %w", pid, err)
	}
	return nil
}

// moveAll moves the container's processes, all of the machine's but this one and
// the kernel's, to the group. Those that they start meanwhile may escape once, so
// that it looks until it finds none.
func (a *Agent) moveAll() error {
	c := &a.confinement
	for range moveAttempts {
		inside, err := os.ReadFile(filepath.Join(c.dir, cgroupProcs))
		if err != nil {
			return err
		}
		there := strings.Fields(string(inside))
		moved := false
		for _, pid := range userProcesses() {
			if slices.Contains(there, strconv.Itoa(pid)) {
				continue
			}
			if err := c.move(pid); err != nil {
				return err
			}
			moved = true
		}
		if !moved {
			return nil
		}
	}
	return errors.New("the container starts processes faster than they can be limited")
}

// userProcesses lists the processes with memory of their own, which kernel
// threads and zombies lack, but this one.
func userProcesses() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if size, err := os.ReadFile(filepath.Join("/proc", e.Name(), "statm")); err == nil && !strings.HasPrefix(string(size), "0 ") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// makePidsGroup mounts the hierarchy that has the controller pids at dir, and
// makes the container's group there.
func makePidsGroup(dir string) (string, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	group := filepath.Join(dir, cgroupName)
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if hierarchies := v1Controllers(string(own)); slices.Contains(hierarchies, "pids") {
		if err := unix.Mount("cgroup", dir, "cgroup", flags, "pids"); err != nil {
			return "", fmt.Errorf("mount the control groups of pids: %w", err)
		}
		return group, os.MkdirAll(group, 0o755)
	}
	if err := unix.Mount("cgroup2", dir, "cgroup2", flags, ""); err != nil {
		return "", fmt.Errorf("mount the control groups: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+pids"), 0); err != nil {
		return "", fmt.Errorf("the guest's kernel has no controller pids: %w", err)
	}
	return group, os.MkdirAll(group, 0o755)
}

// v1Controllers lists the controllers that hierarchies of version 1 have, from
// /proc/PID/cgroup, cgroups(7).
func v1Controllers(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		if fields := strings.SplitN(line, ":", 3); len(fields) == 3 && fields[1] != "" {
			names = append(names, strings.Split(fields[1], ",")...)
		}
	}
	return names
}
