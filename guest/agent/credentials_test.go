package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// status returns fields of /proc/self/status of a process that runs with the
// specification.
func status(t *testing.T, c *container, spec specs.Process) map[string]string {
	t.Helper()
	spec.Args = []string{"cat", "/proc/self/status"}
	r, exited := c.run(spec, nil)
	if exited.Code != 0 {
		t.Fatalf("exited %+v: %s", exited, &r.stderr)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(r.stdout.String()) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

func TestCredentials(t *testing.T) {
	c := startContainer(t)
	three := []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"} // 0, 5, 10
	const threeBits, oneBit, none = "0000000000000421", "0000000000000400", "0000000000000000"
	app := specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7, 8}}
	for _, test := range []struct {
		name string
		spec specs.Process
		want map[string]string
	}{
		{
			"root with three",
			specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: three, Effective: three, Permitted: three}},
			map[string]string{"CapBnd": threeBits, "CapEff": threeBits, "CapPrm": threeBits, "CapInh": none, "CapAmb": none, "Uid": "0 0 0 0", "Groups": ""},
		},
		{
			// The kernel clears what a user's program does not inherit.
			"a user",
			specs.Process{User: app, Capabilities: &specs.LinuxCapabilities{Bounding: three, Effective: three, Permitted: three}},
			map[string]string{"CapBnd": threeBits, "CapEff": none, "CapPrm": none, "CapAmb": none, "Uid": "1000 1000 1000 1000", "Gid": "1001 1001 1001 1001", "Groups": "7 8"},
		},
		{
			"a user with an ambient one",
			specs.Process{User: app, Capabilities: &specs.LinuxCapabilities{
				Bounding: three, Effective: three[2:], Permitted: three[2:], Inheritable: three[2:], Ambient: three[2:],
			}},
			map[string]string{"CapBnd": threeBits, "CapEff": oneBit, "CapPrm": oneBit, "CapInh": oneBit, "CapAmb": oneBit},
		},
		{
			"none",
			specs.Process{Capabilities: &specs.LinuxCapabilities{}, NoNewPrivileges: true},
			map[string]string{"CapBnd": none, "CapEff": none, "CapPrm": none, "NoNewPrivs": "1"},
		},
	} {
		got := status(t, c, test.spec)
		for field, want := range test.want {
			if got[field] != want {
				t.Errorf("%s: %s is %q, want %q", test.name, field, got[field], want)
			}
		}
	}
}

func TestProcessAttributes(t *testing.T) {
	c := startContainer(t)
	umask, score := uint32(0o077), 321
	for _, test := range []struct {
		name, script string
		spec         specs.Process
		want         string
	}{
		{"HOME of root", "echo $HOME", specs.Process{}, "/root"},
		{"HOME of a user", "echo $HOME", specs.Process{User: specs.User{UID: 1000}}, "/home/app"},
		{"HOME of nobody", "echo $HOME", specs.Process{User: specs.User{UID: 4242}}, "/"},
		{"HOME as given", "echo $HOME", specs.Process{Env: []string{"HOME=/x", "PATH=/bin"}}, "/x"},
		{"default PATH", "echo $PATH", specs.Process{Env: []string{}}, defaultPath},
		{"odd values", `echo "$A"`, specs.Process{Env: []string{"A=a 'b' \"c\"\nd"}}, "a 'b' \"c\"\nd"},
		{"working directory", "pwd", specs.Process{Cwd: "/home/app"}, "/home/app"},
		{"limits", "ulimit -Sn; ulimit -Hn", specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}}}, "100\n200"},
		{"default umask", "umask", specs.Process{}, "0022"},
		{"umask", "umask", specs.Process{User: specs.User{Umask: &umask}}, "0077"},
		{"OOM score", "cat /proc/self/oom_score_adj", specs.Process{OOMScoreAdj: &score}, "321"},
		{"stdout by name", "echo x > /dev/stdout", specs.Process{User: specs.User{UID: 1000}}, "x"},
		{"stderr by name", "echo x > /dev/stderr 2>&1; echo $?", specs.Process{User: specs.User{UID: 1000}}, "0"},
		{"session", "echo $(($$ - $(cut -d' ' -f6 /proc/$$/stat)))", specs.Process{}, "0"},
		{"descriptors", "readlink /proc/self/fd/3 /proc/self/fd/10 /proc/self/fd/200 || echo none", specs.Process{}, "none"},
	} {
		test.spec.Args = []string{"/bin/sh", "-c", test.script}
		r, exited := c.run(test.spec, nil)
		got := strings.TrimSuffix(r.stdout.String(), "\n")
		if exited.Code != 0 || got != test.want {
			t.Errorf("%s: exited %+v, %q, want %q (stderr %q)", test.name, exited, got, test.want, &r.stderr)
		}
	}
}

func TestParseCapabilities(t *testing.T) {
	if _, err := parseCapabilities(&specs.LinuxCapabilities{Ambient: []string{"CAP_X"}}); err == nil {
		t.Error("an unknown name is accepted")
	}
	got, err := parseCapabilities(&specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}})
	if err != nil || got.bounding != 1|1<<40 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHomeOf(t *testing.T) {
	passwd := filepath.Join(t.TempDir(), "passwd")
	body := "broken\nroot:x:0:0:r:/root:/bin/sh\nnohome:x:5:5:::\nlast:x:9:9::/last:/bin/sh"
	if err := os.WriteFile(passwd, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]string{0: "/root", 5: "/", 9: "/last", 77: "/"} {
		if got := homeOf(passwd, uid); got != want {
			t.Errorf("uid %d: %q, want %q", uid, got, want)
		}
	}
	if got := homeOf(passwd+"x", 0); got != "/" {
		t.Errorf("without a file: %q", got)
	}
}
