package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// descendant finds a process below pid whose command begins with prefix.
func descendant(pid int, prefix string) (int, bool) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		body, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(body)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
			if strings.HasPrefix(string(comm), prefix) {
				return child, true
			}
			if found, ok := descendant(child, prefix); ok {
				return found, true
			}
		}
	}
	return 0, false
}

// TestDeathOfAPart kills a process that a running container depends on: the
// container ends at once and says which it was.
func TestDeathOfAPart(t *testing.T) {
	vmOnly(t)
	for _, part := range []struct{ name, comm string }{{"QEMU", "qemu-system"}, {"virtiofsd", "virtiofsd"}} {
		t.Run(part.name, func(t *testing.T) {
			e := alone(t)
			before, err := e.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			c := background(t, image, "sh", "-c", "echo ready; sleep infinity")
			c.logged("ready")
			init, err := strconv.Atoi(c.inspect("{{.State.Pid}}"))
			if err != nil {
				t.Fatal(err)
			}
			pid, ok := descendant(init, part.comm)
			if !ok {
				t.Fatalf("no process %s below the container's init %d", part.comm, init)
			}
			killed := time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			code := c.wait()
			if took := time.Since(killed); took > 5*time.Second {
				t.Errorf("the container ended only after %s", took)
			}
			if code == "0" {
				t.Error("exit code 0")
			}
			r := c.logs()
			equal(t, "stdout", r.Stdout, "ready\n")
			if strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, part.name) || !strings.Contains(r.Stderr, "killed") {
				t.Errorf("want one line that says %s was killed: %q", part.name, r.Stderr)
			}
			remove(t, "rm", "--force", c.name)
			nothingLeft(t, before)
		})
	}
}

// TestPanicOfTheGuest crashes the guest's kernel.
func TestPanicOfTheGuest(t *testing.T) {
	vmOnly(t)
	alone(t)
	c := background(t, "--privileged", image, "sh", "-c", "echo ready; echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 600")
	c.logged("ready")
	if code := c.wait(); code == "0" {
		t.Error("exit code 0")
	}
	if r := c.logs(); !strings.Contains(r.Stderr, "guest") && !strings.Contains(r.Stderr, "kernel") {
		t.Errorf("the log does not say that the guest died: %+v", r)
	}
}
