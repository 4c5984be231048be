package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// initImages are the images that have been built, by name.
var initImages struct {
	sync.Mutex
	built map[string]bool
}

// initImage returns an image of Debian with an init and with further lines of a
// Dockerfile.
func initImage(t *testing.T, init, lines string) string {
	t.Helper()
	harness.Require(t, harness.Inits)
	initImages.Lock()
	defer initImages.Unlock()
	tag := "conformance:init-" + init
	if initImages.built[tag] {
		return tag
	}
	dir := t.TempDir()
	archive, err := os.ReadFile(harness.InitArchive(init))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "init.tar"), archive, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := suite.engine.BuildImage(t.Context(), tag, "FROM "+image+"\nADD init.tar /\n"+lines, dir); err != nil {
		t.Fatal(err)
	}
	if initImages.built == nil {
		initImages.built = map[string]bool{}
	}
	initImages.built[tag] = true
	return tag
}

// systemdImage is an image as people make them for systemd in containers.
func systemdImage(t *testing.T) string {
	t.Helper()
	return initImage(t, "systemd", `RUN mkdir -p /var/log/journal && : > /etc/machine-id && \
    printf '[Service]\nExecStart=/bin/sh -c "echo from-the-unit; exec sleep infinity"\n[Install]\nWantedBy=multi-user.target\n' > /etc/systemd/system/mine.service && \
    systemctl enable mine.service
ENV container docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/sbin/init"]
`)
}

// booted waits until systemd has started what it starts, and returns the state
// that it calls that.
func (c *container) booted() string {
	c.t.Helper()
	var state string
	within(c.t, bootLimit, "systemd has started up", func() bool {
		state = strings.TrimSpace(c.exec("systemctl", "is-system-running").Stdout)
		return state == "running" || state == "degraded"
	})
	return state
}

// ended checks the exit code with which the container ends.
func (c *container) ended(what, code string) {
	c.t.Helper()
	equal(c.t, "exit code after "+what, c.wait(), code)
}

// bootLimit is how long an init may take to start what it starts: in software
// translation on a busy machine, minutes.
const bootLimit = 4 * time.Minute

// stopLimit is docker stop's --time: a loaded machine takes its time.
const stopLimit = "100"

func TestSystemd(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, systemdImage(t))
	equal(t, "state", c.booted(), "running")
	equal(t, "failed units", must(t, c.exec("systemctl", "list-units", "--failed", "--plain", "--no-legend")), "")
	equal(t, "PID 1", must(t, c.exec("cat", "/proc/1/comm")), "systemd\n")
	equal(t, "the unit of the image", must(t, c.exec("systemctl", "is-active", "mine.service")), "active\n")
	for _, target := range []string{"multi-user.target", "basic.target"} {
		eventually(t, "the console's word of "+target, func() bool {
			return strings.Contains(c.logs().Stdout, "Reached target "+target)
		})
	}
	// A machine, for systemd and for every service with whatever rights.
	for _, command := range []string{"systemd-detect-virt --container", "systemd-run --quiet --wait --pipe systemd-detect-virt --container"} {
		equal(t, command, c.exec("sh", "-c", command).Stdout, "none\n")
	}
	must(t, c.exec("sh", "-c", "systemctl restart mine.service && systemd-run --quiet --wait --pipe mount -t tmpfs none /mnt && findmnt /mnt"))
	want(t, c.exec("sh", "-c", "cat; echo e >&2; exit 9"), harness.Result{Stderr: "e\n", Code: 9})
	id := must(t, c.exec("cat", "/etc/machine-id"))

	before := time.Now()
	must(t, docker(t, "stop", "--time", stopLimit, c.name))
	t.Logf("docker stop took %s", time.Since(before).Round(100*time.Millisecond))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
	if logs := c.logs().Stdout; !strings.Contains(logs, "Reached target poweroff.target") {
		t.Errorf("no power-off on the console:\n%s", logs)
	}

	must(t, docker(t, "start", c.name))
	equal(t, "state after a restart", c.booted(), "running")
	equal(t, "machine ID", must(t, c.exec("cat", "/etc/machine-id")), id)
	if r := c.exec("sh", "-c", "journalctl --verify 2>&1"); r.Code != 0 || strings.Contains(r.Stdout, "FAIL") || !strings.Contains(r.Stdout, "PASS") {
		t.Errorf("the journal: %+v", r)
	}
	if r := c.exec("journalctl", "--boot=-1", "--no-pager"); !strings.Contains(r.Stdout, "from-the-unit") || !strings.Contains(r.Stdout, "Journal stopped") {
		t.Errorf("the journal of the boot before: %+v", r)
	}
	if r := must(t, c.exec("journalctl", "--boot", "--no-pager")); strings.Contains(r, "uncleanly shut down") {
		t.Errorf("the journal was not closed:\n%s", r)
	}
}

// TestSystemdEnds ends the machine from inside, and by signals.
func TestSystemdEnds(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, systemdImage(t))
	for _, test := range []struct{ command, code string }{
		{"systemctl poweroff", "0"},
		{"systemctl reboot", "133"},
		{"systemctl halt", "0"},
	} {
		c.booted()
		c.exec("sh", "-c", test.command)
		c.ended(test.command, test.code)
		must(t, docker(t, "start", c.name))
	}
	c.booted()
	must(t, docker(t, "kill", "--signal", "TERM", c.name))
	c.ended("SIGTERM", "0")
	must(t, docker(t, "start", c.name))
	c.booted()
	must(t, docker(t, "kill", c.name))
	c.ended("SIGKILL", "137")
}

// TestSystemdStopsAtOnce stops a machine whose systemd has only begun.
func TestSystemdStopsAtOnce(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, systemdImage(t))
	must(t, docker(t, "stop", "--time", stopLimit, c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
}

// TestSystemdConsole logs in on the terminal of docker run -it.
func TestSystemdConsole(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, "--tty", "--label", "runcvm.profile=systemd", systemdImage(t))
	equal(t, "state", c.booted(), "running")
	// What a getty says; docker's log has no line yet with the prompt that follows.
	const greeting = "Debian GNU/Linux 12 "
	prompts := func() int { return strings.Count(c.logs().Stdout, greeting) }
	eventually(t, "a getty's greeting", func() bool { return prompts() > 0 })
	before := prompts()
	must(t, c.exec("systemctl", "restart", "console-getty.service")) // hangs the terminal up
	eventually(t, "another one", func() bool { return prompts() > before })
	must(t, docker(t, "stop", "--time", stopLimit, c.name))
}

func TestBusyboxInit(t *testing.T) {
	start(t)
	vmOnly(t)
	tag := initImage(t, "busybox", `RUN ln -sf /bin/busybox /sbin/init && \
    printf '::sysinit:/bin/echo begun\n::respawn:/bin/sleep 1000\n::shutdown:/bin/echo ended\n' > /etc/inittab
CMD ["/sbin/init"]
`)
	c := background(t, tag)
	c.logged("begun")
	equal(t, "PID 1", must(t, c.exec("cat", "/proc/1/comm")), "init\n")
	must(t, c.exec("grep", "-q", " /sys/fs/cgroup/memory ", "/proc/mounts"))
	must(t, docker(t, "stop", "--time", stopLimit, c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
	if logs := c.logs(); !strings.HasSuffix(logs.Stdout, "ended\n") && !strings.Contains(logs.Stdout, "\nended\n") {
		t.Errorf("the action at a shutdown has not run: %+v", logs)
	}
	for _, test := range []struct{ command, code string }{{"reboot", "133"}, {"halt", "0"}, {"poweroff", "0"}} {
		must(t, docker(t, "start", c.name))
		eventually(t, "the init runs", func() bool { return c.exec("pidof", "sleep").Code == 0 })
		c.exec("busybox", test.command)
		c.ended(test.command, test.code)
	}
}

func TestOpenRC(t *testing.T) {
	start(t)
	vmOnly(t)
	// Its scripts take half a minute to end everything when they have a machine to
	// themselves.
	c := background(t, "--env", "RUNCVM_AGENT_STOP_TIMEOUT=140s", initImage(t, "openrc", "CMD [\"/sbin/init\"]\n"))
	within(t, bootLimit, "the default run level", func() bool {
		return strings.Contains(c.exec("rc-status", "--runlevel").Stdout, "default")
	})
	must(t, docker(t, "stop", "--time", "150", c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
}

// TestPID1Exits has an entrypoint that exits where an init would power off.
func TestPID1Exits(t *testing.T) {
	start(t)
	vmOnly(t)
	for script, code := range map[string]int{"sleep 1; exit 0": 0, "sleep 1; exit 3": 3, "exit 4": 4} {
		if r := run(t, "--env", "RUNCVM_INIT_MODE=exec", image, "sh", "-c", script); r.Code != code {
			t.Errorf("%s: %+v", script, r)
		}
	}
	if r := run(t, "--env", "RUNCVM_INIT_MODE=exec", "--user", "1000", image, "true"); !strings.Contains(r.Stderr, "PID 1 is not root") {
		t.Errorf("a user: %+v", r)
	}
	if r := run(t, "--env", "RUNCVM_INIT_MODE=exec", image, "/nope"); r.Code != 127 {
		t.Errorf("no program: %+v", r)
	}
}

// TestCgroupfs reads from the guest what each mode mounts.
func TestCgroupfs(t *testing.T) {
	const script = `awk '$5 ~ "^/sys/fs/cgroup" { sep = 0; for (i = 1; i <= NF; i++) if ($i == "-") sep = i; print $5, $(sep + 1), $6 }' /proc/self/mountinfo
		awk '!/^#/ && $4 == 1 { print "enabled", $1 }' /proc/cgroups`
	for mode, wanted := range map[string]struct{ root, controllers, unified string }{
		"":        {"tmpfs", "cgroup", "cgroup2"},
		"auto":    {"tmpfs", "cgroup", "cgroup2"},
		"hybrid":  {"tmpfs", "cgroup", "cgroup2"},
		"mixed":   {"tmpfs", "cgroup", "cgroup2"},
		"1":       {"tmpfs", "cgroup", ""},
		"cgroup1": {"tmpfs", "cgroup", ""},
		"2":       {"cgroup2", "", ""},
		"cgroup2": {"cgroup2", "", ""},
		"none":    {},
		"systemd": {},
	} {
		t.Run("mode "+mode, func(t *testing.T) {
			start(t)
			vmOnly(t)
			options := []string{"--env", "RUNCVM_CGROUPFS=" + mode, image}
			if mode == "" {
				options = []string{"--privileged", image}
			}
			got, controllers := map[string]string{}, []string{}
			for line := range strings.Lines(must(t, run(t, append(options, "sh", "-c", script)...))) {
				f := strings.Fields(line)
				if f[0] == "enabled" {
					controllers = append(controllers, f[1])
					continue
				}
				got[f[0]] = f[1]
				if readOnly := strings.HasPrefix(f[2], "ro,"); readOnly != (mode != "") {
					t.Errorf("%s is mounted %s", f[0], f[2])
				}
			}
			expect := map[string]string{}
			if wanted.root != "" {
				expect["/sys/fs/cgroup"] = wanted.root
			}
			if wanted.controllers != "" {
				for _, name := range controllers {
					expect[filepath.Join("/sys/fs/cgroup", name)] = wanted.controllers
				}
			}
			if wanted.unified != "" {
				expect["/sys/fs/cgroup/unified"] = wanted.unified
			}
			equal(t, "mounts", got, expect)
		})
	}
}

// TestCgroupfsThatTheKernelLacks boots kernels without version 1.
func TestCgroupfsThatTheKernelLacks(t *testing.T) {
	start(t)
	vmOnly(t)
	without := []string{"--env", "RUNCVM_KERNEL_APPEND=cgroup_no_v1=all"}
	for _, mode := range []string{"1", "hybrid"} {
		r := run(t, append(without, "--env", "RUNCVM_CGROUPFS="+mode, image, "true")...)
		if r.Code == 0 || !strings.Contains(r.Stderr, "version 1 of control groups") || !strings.Contains(r.Stderr, "memory") {
			t.Errorf("mode %s: %+v", mode, r)
		}
	}
	if out := must(t, run(t, append(without, image, "grep", " /sys/fs/cgroup", "/proc/mounts")...)); !strings.HasPrefix(out, "cgroup2 /sys/fs/cgroup cgroup2 ro") {
		t.Errorf("auto: %s", out)
	}
}
