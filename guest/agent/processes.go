package agent

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runcvm/runcvm/guest/api"
)

// procDir is the guest's own, where all its processes are: the container cannot
// mount over it.
const procDir = "/proc"

const (
	// ticksPerSecond is the unit of times in /proc: USER_HZ, which is 100 on every
	// architecture that there are kernels for.
	ticksPerSecond = 100
	// kernelThread is PF_KTHREAD of a task's flags.
	kernelThread = 0x200000
)

// Processes lists the container's processes, by the numbers that they have there.
// Those that end meanwhile are left out.
func (a *Agent) Processes() (api.Processes, error) {
	entries, err := os.ReadDir(procDir)
	if err != nil {
		return api.Processes{}, err
	}
	// How deep the container's PID namespace is; those in it may have others below.
	depth := 1
	if a.beside() {
		depth = 0
	}
	numbers := map[int]int{} // the guest's to the container's
	var found []task
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		t, err := readTask(filepath.Join(procDir, entry.Name()))
		if err != nil || len(t.numbers) <= depth || t.flags&kernelThread != 0 {
			continue // no more there, or the guest's own
		}
		t.stat.PID = t.numbers[depth]
		numbers[pid] = t.stat.PID
		found = append(found, t)
	}
	slices.SortFunc(found, func(a, b task) int { return a.stat.PID - b.stat.PID })
	all := api.Processes{List: []api.ProcessStat{}}
	uptime := time.Duration(Uptime())
	for i, t := range found {
		if i == api.MaxProcesses {
			all.More = len(found) - i
			break
		}
		t.stat.Parent = numbers[t.parent]
		t.stat.AgeNanos = int64(max(0, uptime-t.began))
		all.List = append(all.List, t.stat)
	}
	return all, nil
}

// task is what the kernel tells of a process.
type task struct {
	stat    api.ProcessStat
	numbers []int  // in each PID namespace, the guest's first
	parent  int    // in the guest's numbers
	flags   uint64 // PF_*
	began   time.Duration
}

// readTask reads the folder of a process, see proc(5).
func readTask(dir string) (task, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return task{}, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return task{}, err
	}
	t, err := parseTask(string(stat), string(status))
	if err != nil {
		return t, err
	}
	command, err := readCommand(filepath.Join(dir, "cmdline"))
	if err != nil {
		return t, err
	}
	if command != "" {
		t.stat.Command = command
	}
	return t, nil
}

// parseTask reads the files stat and status of a process.
func parseTask(stat, status string) (task, error) {
	t := task{}
	// 1 (name) S 0 ...: the name may have parentheses, too.
	opening, closing := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if opening < 0 || closing < opening {
		return t, fmt.Errorf("%q is no process's stat", stat)
	}
	t.stat.Command = "[" + stat[opening+1:closing] + "]"
	fields := strings.Fields(stat[closing+1:])
	const first = 3 // proc(5) counts from 1, and the state is 3
	number := func(field int) (n int64) {
		if i := field - first; i < len(fields) {
			n, _ = strconv.ParseInt(fields[i], 10, 64)
		}
		return n
	}
	if len(fields) <= 24-first {
		return t, fmt.Errorf("%q is no process's stat", stat)
	}
	ticks := func(n int64) time.Duration { return time.Duration(n) * (time.Second / ticksPerSecond) }
	t.stat.State = fields[0]
	t.parent = int(number(4))
	t.flags = uint64(number(9))
	t.stat.CPUNanos = int64(ticks(number(14) + number(15)))
	t.stat.Threads = int(number(20))
	t.began = ticks(number(22))
	t.stat.RSSBytes = number(24) * int64(os.Getpagesize())
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		switch f := strings.Fields(value); {
		case key == "Uid" && len(f) > 1:
			uid, _ := strconv.ParseUint(f[1], 10, 32)
			t.stat.UID = uint32(uid)
		case key == "NSpid":
			for _, text := range f {
				n, _ := strconv.Atoi(text)
				t.numbers = append(t.numbers, n)
			}
		}
	}
	return t, nil
}

// readCommand reads a command line; "" for a process without one.
func readCommand(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := io.ReadAll(io.LimitReader(f, api.MaxCommand))
	line = bytes.TrimRight(line, "\x00")
	return strings.ToValidUTF8(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})), "\uFFFD"), err
}
