package conformance

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

const awkwardValue = "a b  'c' \"d\" $e `f` \\ ü 漢 ,=x\nsecond line\n"

func TestEnvironment(t *testing.T) {
	start(t)
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("FROM_FILE=from a file\n# no\nQUOTED=\"q\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	same(t, "--hostname", "h", "--env", "X="+awkwardValue, "--env", "EMPTY=", "--env-file", file, image,
		"sh", "-c", `env -0 | sort -z | tr '\0' '\n'; printf '<%s>' "$X"`)
}

func TestArguments(t *testing.T) {
	start(t)
	want(t, run(t, image, "printf", "%s|", awkwardValue, "", "--", "-x", "*", "${HOME}"),
		harness.Result{Stdout: awkwardValue + "||--|-x|*|${HOME}|"})
}

func TestConfigurationOfTheImage(t *testing.T) {
	e := start(t)
	tag := "conformance:configured"
	dockerfile := "FROM " + image + `
ENV FROM_IMAGE="i j"
USER games:mail
WORKDIR /var/opt/made
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["id -un; id -gn; pwd; echo $FROM_IMAGE $HOME"]
`
	if err := e.BuildImage(t.Context(), tag, dockerfile, ""); err != nil {
		t.Fatal(err)
	}
	want(t, same(t, tag), harness.Result{Stdout: "games\nmail\n/var/opt/made\ni j /usr/games\n"})
}

// TestUser compares what a process of a user is and may do.
func TestUser(t *testing.T) {
	for name, options := range map[string][]string{
		"numbers":  {"--user", "1000:1000"},
		"unknown":  {"--user", "4321"},
		"name":     {"--user", "nobody"},
		"groups":   {"--user", "games", "--group-add", "audio", "--group-add", "7777"},
		"no group": {"--user", "games:1234"},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			r := same(t, append(options, image, "sh", "-c", `id; echo $HOME; echo out > /dev/stdout; echo err > /dev/stderr
				touch /denied 2>/dev/null || echo denied; touch /tmp/allowed && stat -c %u:%g /tmp/allowed
				grep -E '^(Uid|Gid|Groups|Cap)' /proc/self/status`)...)
			if r.Stderr != "err\n" {
				t.Errorf("stderr: %q", r.Stderr)
			}
		})
	}
}

// TestPrivileges compares capabilities and the like with runc's.
func TestPrivileges(t *testing.T) {
	for name, options := range map[string][]string{
		"default":           {},
		"drop one":          {"--cap-drop", "CHOWN"},
		"drop all, add one": {"--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"},
		"add":               {"--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"},
		"user with added":   {"--user", "1000", "--cap-add", "NET_ADMIN"},
		"no new privileges": {"--security-opt", "no-new-privileges"},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			same(t, append(options, image, "grep", "-E", "^(Cap|NoNewPrivs)", "/proc/self/status")...)
		})
	}
}

func TestLimits(t *testing.T) {
	start(t)
	same(t, "--ulimit", "nofile=1000:2000", "--ulimit", "nproc=4000", "--ulimit", "core=0", image,
		"bash", "-c", "ulimit -Sn; ulimit -Hn; ulimit -u; ulimit -c; umask")
}

func TestWorkdirIsMade(t *testing.T) {
	start(t)
	want(t, same(t, "--workdir", "/not/there/yet", image, "sh", "-c", "pwd; stat -c %u:%g:%a ."),
		harness.Result{Stdout: "/not/there/yet\n0:0:755\n"})
}

func TestHostname(t *testing.T) {
	start(t)
	same(t, "--uts", "host", image, "hostname")
	want(t, run(t, "--hostname", "some-host", image, "sh", "-c", "hostname; uname -n; cat /etc/hostname; echo $HOSTNAME"),
		harness.Result{Stdout: strings.Repeat("some-host\n", 4)})
	name := newName(t)
	r := docker(t, "run", "--name", name, "--runtime", underTest(), image, "hostname")
	id := (&container{t: t, name: name}).inspect("{{.Id}}")
	want(t, r, harness.Result{Stdout: id[:12] + "\n"})
}

func TestDomainname(t *testing.T) {
	start(t)
	want(t, run(t, "--domainname", "example.test", image, "cat", "/proc/sys/kernel/domainname"),
		harness.Result{Stdout: "example.test\n"})
}

// TestMemoryIsTheGuestsRAM allows for what a kernel keeps for itself.
func TestMemoryIsTheGuestsRAM(t *testing.T) {
	vmOnly(t)
	start(t)
	fields := strings.Fields(must(t, run(t, "--memory", "300m", image, "grep", "MemTotal", "/proc/meminfo")))
	kib, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	if mib := kib / 1024; mib > 300 || mib < 300-64 {
		t.Errorf("MemTotal is %d MiB of 300", mib)
	}
}

// TestMemoryCanBeUsed uses the guest's RAM up, which must not make the
// container's cgroup kill the virtual machine.
func TestMemoryCanBeUsed(t *testing.T) {
	vmOnly(t)
	start(t)
	want(t, run(t, "--memory", "300m", "--shm-size", "200m", image, "sh", "-c",
		"head -c 150m /dev/zero > /dev/shm/f && find / -xdev -type f | head -n 2000 | xargs cat >/dev/null 2>&1; echo done"),
		harness.Result{Stdout: "done\n"})
}

func TestCPUsAreRoundedUp(t *testing.T) {
	vmOnly(t)
	start(t)
	want(t, run(t, "--cpus", "1.5", image, "nproc"), harness.Result{Stdout: "2\n"})
}

func TestSharedMemory(t *testing.T) {
	start(t)
	for _, k := range []struct{ size, want string }{{"64m", "65536"}, {"100m", "102400"}} {
		t.Run(k.size, func(t *testing.T) {
			want(t, run(t, "--shm-size", k.size, image, "sh", "-c",
				"df -k /dev/shm | tail -1 | { read a b c; echo $b; }; echo x > /dev/shm/f; stat -c %a /dev/shm"),
				harness.Result{Stdout: k.want + "\n1777\n"})
		})
	}
}

func TestSysctl(t *testing.T) {
	start(t)
	same(t, "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--sysctl", "net.core.somaxconn=1234",
		"--sysctl", "kernel.msgmax=65000", image, "sh", "-c",
		"cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start net/core/somaxconn kernel/msgmax")
}

func TestDevices(t *testing.T) {
	start(t)
	same(t, image, "sh", "-c", `for f in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$f; done
		for f in fd stdin stdout stderr ptmx; do echo $f $(readlink /dev/$f); done; ls /dev/pts
		echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1`)
}

// TestPathsThatAreHidden compares what docker masks and makes read-only.
func TestPathsThatAreHidden(t *testing.T) {
	start(t)
	same(t, image, "sh", "-c", `for f in /proc/keys /proc/timer_list; do [ -e $f ] && wc -c < $f; done
		echo x 2>/dev/null > /proc/sysrq-trigger || echo refused`)
}
