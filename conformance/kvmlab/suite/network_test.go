package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// TestNetwork boots a machine that has all that concerns the network and the
// processor's virtualisation: several queues, moved by the host's kernel.
func TestNetwork(t *testing.T) {
	onKVM(t)
	w := newWire(t)
	b := newBundle(t, "sleep", "infinity")
	w.join(b)
	b.profile(`machine {
  cpus   = 2
  nested = true
}
kvm {
  kernel_irqchip = "split"
  halt_poll      = "guest"
}
network {
  vhost = "on"
}
agent {
  transport = "virtio-serial" # has no worker of the kernel's
}`)
	// The lab has one processor, beyond which the built-in policy lets nobody go.
	b.policy(`limit "machine.cpus" {
  max = 2
}`)
	w.serve(t, "serve", peerAddress+":7")
	b.detach()

	guest := func(script string) string {
		t.Helper()
		return strings.TrimSpace(b.must("exec", b.id, "sh", "-c", script))
	}
	equal(t, "channels", guest("probe channels eth0"), "2 of 2")
	equal(t, "queues", guest("cd /sys/class/net/eth0/queues; echo *"), "rx-0 rx-1 tx-0 tx-1")
	equal(t, "cpuidle driver", guest("cat /sys/devices/system/cpu/cpuidle/current_driver"), "haltpoll")
	equal(t, "clock", guest("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"), "kvm-clock")
	equal(t, "vCPUs with virtualisation", guest("grep -c -w -E 'svm|vmx' /proc/cpuinfo"), "2")

	qemu := b.qemu()
	equal(t, "descriptors of vhost-net", countLinks(t, qemu, "/dev/vhost-net"), 2)
	workers := vhostWorkers(t, qemu)
	equal(t, "workers of vhost-net", len(workers), 2)
	before := ticks(t, workers)
	const size = 16 << 20
	equal(t, "echo", guest(fmt.Sprintf("probe echo %s:7 %d", peerAddress, size)), fmt.Sprintf("%d bytes echoed", size))
	if after := ticks(t, workers); after <= before {
		t.Errorf("%d bytes took the workers of vhost-net no time: %d ticks before, %d after", size, before, after)
	}
	b.must("delete", "--force", b.id)
}

// TestDefaults looks at what a machine has that nobody asked anything for.
func TestDefaults(t *testing.T) {
	onKVM(t)
	w := newWire(t)
	b := newBundle(t, "sh", "-c", `probe channels eth0
grep -c -w -E 'svm|vmx' /proc/cpuinfo
cat /sys/devices/system/cpu/cpuidle/current_driver
probe echo `+peerAddress+`:7 65536`)
	w.join(b)
	w.serve(t, "serve", peerAddress+":7")
	got := b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id)
	equal(t, "result", got, harness.Result{Stdout: "1 of 1\n0\nnone\n65536 bytes echoed\n"})
}

// TestVHostFallback has hosts without a usable vhost-net: the plan says why, and
// a profile that demands it is refused before anything starts.
func TestVHostFallback(t *testing.T) {
	onKVM(t)
	const device = "/dev/vhost-net"
	here := func(b *bundle, args ...string) harness.Result { return b.run(strings.NewReader(""), args...) }
	hosts := map[string]struct {
		prepare func(t *testing.T, b *bundle)
		run     func(b *bundle, args ...string) harness.Result
		reason  string
	}{
		"missing": {withoutDevice, here, device + " does not exist"},
		"busy":    {func(t *testing.T, b *bundle) { busyDevice(t, b, device) }, here, device + " is busy"},
		"denied": {
			func(*testing.T, *bundle) {},
			func(b *bundle, args ...string) harness.Result {
				return denied(b.t, 10, 238, b.command(args...).Args...)
			},
			device + " is denied (operation not permitted): the device rules of the cgroup do not allow it",
		},
	}
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "true")
			host.prepare(t, b)
			r := host.run(b, "plan", "--format", "json", "--bundle", b.dir)
			var plan struct {
				Network struct {
					VHost  bool
					Reason string `json:"vhost_reason"`
				}
			}
			if err := json.Unmarshal([]byte(r.Stdout), &plan); err != nil {
				t.Fatalf("%v: %+v", err, r)
			}
			equal(t, "vhost", plan.Network.VHost, false)
			contains(t, "reason", plan.Network.Reason, host.reason)

			b.profile("network {\n  vhost = \"on\"\n}")
			r = host.run(b, "create", "--bundle", b.dir, b.id)
			if r.Code == 0 {
				t.Error("create succeeds")
			}
			contains(t, "refusal", r.Stderr, "vhost-net is not usable", host.reason)
			equal(t, "status", b.status(), "")
		})
	}
}

// qemu is the process of the container's QEMU.
func (b *bundle) qemu() int {
	b.t.Helper()
	var state struct{ PID int }
	if err := json.Unmarshal([]byte(b.must("state", b.id)), &state); err != nil {
		b.t.Fatal(err)
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", state.PID))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, list := range lists {
		body, err := os.ReadFile(list)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, child := range strings.Fields(string(body)) {
			comm, err := os.ReadFile("/proc/" + child + "/comm")
			if err == nil && strings.HasPrefix(string(comm), "qemu-system") {
				pid, _ := strconv.Atoi(child)
				return pid
			}
		}
	}
	b.t.Fatalf("the container's process %d has no QEMU below it", state.PID)
	return 0
}

// countLinks counts a process's descriptors of a file.
func countLinks(t *testing.T, pid int, file string) int {
	t.Helper()
	n := 0
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, _ := os.Readlink(link); target == file {
			n++
		}
	}
	return n
}

// vhostWorkers are the folders in /proc of the kernel's threads that work for a
// process: kernel threads, from Linux 6.4 on threads of the process.
func vhostWorkers(t *testing.T, pid int) []string {
	t.Helper()
	var workers []string
	for _, pattern := range []string{"/proc/[0-9]*/comm", fmt.Sprintf("/proc/%d/task/*/comm", pid)} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			comm, err := os.ReadFile(file)
			if err == nil && strings.TrimSpace(string(comm)) == fmt.Sprintf("vhost-%d", pid) {
				workers = append(workers, filepath.Dir(file))
			}
		}
	}
	return workers
}

// ticks is the processor time of threads, in clock ticks: see proc(5), stat.
func ticks(t *testing.T, threads []string) int {
	t.Helper()
	sum := 0
	for _, dir := range threads {
		body, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(body), ") ")
		fields := strings.Fields(rest)
		for _, n := range []int{14, 15} { // utime and stime, counted from 1
			value, err := strconv.Atoi(fields[n-3])
			if err != nil {
				t.Fatal(err)
			}
			sum += value
		}
	}
	return sum
}
