package conformance

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// stdout is the result of a command that succeeds and writes just that.
func stdout(text string) harness.Result { return harness.Result{Stdout: text} }

// number reads the number that a command shows.
func (c *container) number(command ...string) (n int) {
	c.t.Helper()
	if _, err := fmt.Sscan(must(c.t, c.exec(command...)), &n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// memTotal is the guest's MemTotal in MiB.
func (c *container) memTotal() int {
	c.t.Helper()
	return c.number("awk", "/^MemTotal:/ { print int($2 / 1024) }", "/proc/meminfo")
}

// cgroupLimit reads a limit of the container's own control group on the host, by
// its file in version 1 and in version 2.
func (c *container) cgroupLimit(v1, v2 string) string {
	c.t.Helper()
	for line := range strings.Lines(content(c.t, filepath.Join("/proc", c.inspect("{{.State.Pid}}"), "cgroup"))) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		controller, _, _ := strings.Cut(v1, ".")
		file := filepath.Join("/sys/fs/cgroup", controller, fields[2], v1)
		if fields[1] == "" {
			file = filepath.Join("/sys/fs/cgroup", fields[2], v2)
		}
		if data, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(data))
		}
	}
	c.t.Fatalf("no limit %s of the container", v1)
	return ""
}

// forked is how many processes a container can have beside those that it has, up
// to 100, and why no more.
const forked = `perl -e 'for (1..100) { my $p = fork; if (!defined $p) { print "refused, $!\n"; last } if (!$p) { sleep 60; exit } push @p, $p }
	print @p > 20 && @p < 61 ? "some\n" : @p . "\n"; kill 9, @p; waitpid $_, 0 for @p'`

// TestUpdate changes one machine while it runs: vCPUs, memory, processes.
func TestUpdate(t *testing.T) {
	start(t)
	vmOnly(t)
	const began = 256 // MiB
	c := background(t, "--memory", "256m", "--pids-limit", "60", "--env", "RUNCVM_MACHINE_MAX_CPUS=2", "--env", "RUNCVM_MACHINE_MAX_MEMORY=768M",
		image, "sh", "-c", "echo up; exec sleep infinity")
	c.logged("up")
	update := func(options ...string) {
		t.Helper()
		must(t, docker(t, append(append([]string{"update"}, options...), c.name)...))
	}
	refused := func(words string, options ...string) {
		t.Helper()
		r := docker(t, append(append([]string{"update"}, options...), c.name)...)
		if r.Code == 0 || !strings.Contains(r.Stderr, words) {
			t.Errorf("docker update %s: code %d, %s, want %q", strings.Join(options, " "), r.Code, r.Stderr, words)
		}
	}
	vcpus := func() (n int) {
		for _, name := range c.qemu().threads() {
			if strings.HasPrefix(name, "CPU ") {
				n++
			}
		}
		return n
	}

	want(t, c.exec("sh", "-c", forked), stdout("refused, Resource temporarily unavailable\nsome\n"))
	update("--pids-limit", "-1")
	want(t, c.exec("sh", "-c", forked), stdout("100\n"))
	update("--pids-limit", "50")
	want(t, c.exec("sh", "-c", forked), stdout("refused, Resource temporarily unavailable\nsome\n"))

	equal(t, "vCPUs at first", []int{c.number("nproc"), vcpus()}, []int{1, 1})
	refused("machine.max_cpus", "--cpu-quota", "300000")
	for _, step := range []struct {
		cpus   string
		want   int
		around string
	}{{"2", 2, "200000"}, {"1", 1, "100000"}, {"1.5", 2, "150000"}} {
		update("--cpus", step.cpus)
		// QEMU keeps the second one, which rests.
		equal(t, "vCPUs with --cpus "+step.cpus, []int{c.number("nproc"), vcpus()}, []int{step.want, 2})
		if quota := c.cgroupLimit("cpu.cfs_quota_us", "cpu.max"); !strings.HasPrefix(quota, step.around) {
			t.Errorf("the quota around a machine with --cpus %s is %s", step.cpus, quota)
		}
	}
	update("--cpuset-cpus", "0")
	equal(t, "vCPUs on one CPU", c.number("nproc"), 1)

	before := c.memTotal()
	refused("machine.max_memory", "--memory", "2g", "--memory-swap", "-1")
	refused("96m is the least", "--memory", "50m")
	refused("it can spare", "--memory", "97m")
	for _, size := range []int{768, 200, began} {
		update("--memory", fmt.Sprintf("%dm", size), "--memory-swap", fmt.Sprintf("%dm", 2*size))
		if got, want := c.memTotal(), before+size-began; got < want-12 || got > want+12 {
			t.Errorf("MemTotal with %d MiB is %d MiB, want about %d", size, got, want)
		}
		if size == 768 {
			// More than what it began with.
			equal(t, "MiB in use", c.number("perl", "-e", `vec($x, (300 << 20) - 1, 8) = 1; print length($x) >> 20`), 300)
		}
		if limit := c.cgroupLimit("memory.limit_in_bytes", "memory.max"); len(limit) < 9 || limit > "99" {
			t.Errorf("the limit around %d MiB is %s", size, limit)
		}
	}
	if log := content(t, c.stateFile("supervisor.log")); !strings.Contains(log, "MEMORY_DEVICE_SIZE_CHANGE") || !strings.Contains(log, "BALLOON_CHANGE") {
		t.Error("QEMU has not told of memory that changed")
	}

	olderState(t, c)
	want(t, c.exec("echo", "exec after an upgrade"), stdout("exec after an upgrade\n"))
	update("--memory", "200m")
	must(t, docker(t, "pause", c.name))
	refused("paused", "--memory", "256m")
	must(t, docker(t, "unpause", c.name))
	must(t, docker(t, "kill", c.name))
	equal(t, "exit code", c.wait(), "137")
}

// olderState makes the state of the machine that of another version of RunCVM: its
// plan has a field that is not known, and lacks one that is.
func olderState(t *testing.T, c *container) {
	t.Helper()
	path := c.stateFile("plan.json")
	var plan map[string]any
	if err := json.Unmarshal([]byte(content(t, path)), &plan); err != nil {
		t.Fatal(err)
	}
	plan["of_another_version"] = true
	delete(plan, "firmware")
	plan["digest"] = ""
	encode := func() []byte {
		data, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		return append(data, '\n')
	}
	plan["digest"] = fmt.Sprintf("sha256:%x", sha256.Sum256(encode()))
	if err := os.WriteFile(path, encode(), 0o600); err != nil {
		t.Fatal(err)
	}
}
