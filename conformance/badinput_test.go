package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// nothingLeft fails the test when something exists that was not there before.
func nothingLeft(t *testing.T, before harness.Snapshot) {
	t.Helper()
	left, err := suite.engine.LeftBehind(before, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, thing := range left {
		t.Errorf("left behind: %s", thing)
	}
}

// oneError checks that docker shows one error, which has all these words in
// it, and that the exit code is one of docker's for a container that did not
// start.
func oneError(t *testing.T, r harness.Result, words ...string) {
	t.Helper()
	if r.Code < 125 || r.Code > 127 {
		t.Errorf("exit code %d", r.Code)
	}
	if n := strings.Count(r.Stderr, "Error response from daemon"); n != 1 || r.Stdout != "" {
		t.Errorf("%d errors, want one\nstdout: %s\nstderr: %s", n, r.Stdout, r.Stderr)
	}
	for _, w := range words {
		if !strings.Contains(r.Stderr, w) {
			t.Errorf("the error lacks %q: %s", w, r.Stderr)
		}
	}
}

// TestBadInput has what keeps a container from starting. Each shows one error
// that names the thing and the mend, and leaves nothing behind.
func TestBadInput(t *testing.T) {
	vmOnly(t)
	write := func(name, body string) func(t *testing.T) []string {
		return func(t *testing.T) []string {
			path := filepath.Join(suite.profiles, name)
			if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(path) })
			return []string{path}
		}
	}
	for name, k := range map[string]struct {
		runtime string
		// prepare makes the bad input and returns words that the error must have.
		prepare func(t *testing.T) []string
		options []string
		words   []string
	}{
		"missing kernel":       {runtime: "runcvm-nokernel", words: []string{harness.Prefix() + "/kernels", "install"}},
		"no /dev/net/tun":      {runtime: "runcvm-notun", words: []string{"/dev/net/tun", "modprobe tun"}},
		"unknown profile name": {runtime: "runcvm-profiles", options: []string{"--label", "runcvm.profile=nosuch"}, words: []string{"nosuch", "runcvm.profile"}},
		"invalid profile": {
			runtime: "runcvm-profiles", options: []string{"--label", "runcvm.profile=bad"},
			words:   []string{":3:", `"cpu"`, `"cpus"`},
			prepare: write("bad.hcl", "profile \"bad\" {\n  machine {\n    cpu = 2\n  }\n}\n"),
		},
		"guest that does not come up": {
			runtime: "runcvm-profiles", options: []string{"--label", "runcvm.profile=panics"},
			words: []string{"the guest ended", "Kernel panic"},
			prepare: func(t *testing.T) []string {
				write("panics.hcl", "profile \"panics\" {\n  kernel {\n    append = [\"rdinit=/none\"]\n  }\n}\n")(t)
				return nil
			},
		},
		"guest that takes too long": {
			runtime: "runcvm-profiles", options: []string{"--label", "runcvm.profile=slow"}, words: []string{"1s", "agent.boot_timeout"},
			prepare: func(t *testing.T) []string {
				write("slow.hcl", "profile \"slow\" {\n  agent {\n    boot_timeout = \"1s\"\n  }\n}\n")(t)
				return nil
			},
		},
		"profile that is no HCL": {
			runtime: "runcvm-profiles", options: []string{"--label", "runcvm.profile=x"},
			words:   []string{":1:"},
			prepare: write("syntax.hcl", "profile \"x\" {{{\n"),
		},
		"profile that cannot be read": {
			runtime: "runcvm-profiles",
			prepare: func(t *testing.T) []string {
				path := filepath.Join(suite.profiles, "dangling.hcl")
				if err := os.Symlink("/no/such/file", path); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.Remove(path) })
				return []string{path}
			},
		},
		"network of the host":         {runtime: "runcvm", options: []string{"--network", "host"}, words: []string{"Host network not supported", "publish ports"}},
		"curses without a terminal":   {runtime: "runcvm", options: []string{"--env", "RUNCVM_QEMU_DISPLAY=curses"}, words: []string{"docker run -it"}},
		"VNC display out of range":    {runtime: "runcvm", options: []string{"--env", "RUNCVM_QEMU_VNC_DISPLAY=59636"}, words: []string{"59635"}},
		"VNC display that is taken":   {runtime: "runcvm", options: []string{"--env", "RUNCVM_QEMU_VNC_DISPLAY=55300"}, words: []string{"61200", "61184 to 61439"}},
		"adapter that QEMU has alone": {runtime: "runcvm", options: []string{"--env", "RUNCVM_QEMU_VGA=qxl"}, words: []string{"virtio", "std", "cirrus"}},
		"no file with the password": {
			runtime: "runcvm", options: []string{"--env", "RUNCVM_DISPLAY_MODE=vnc", "--env", "RUNCVM_DISPLAY_PASSWORD_FILE=/no/such/file"},
			words: []string{"/no/such/file", "does not exist"},
		},
		"password that others may read": {
			runtime: "runcvm-profiles",
			prepare: func(t *testing.T) []string {
				secret := passwordFile(t, "abcdefgh")
				if err := os.Chmod(secret, 0o644); err != nil {
					t.Fatal(err)
				}
				write("secret.hcl", "profile \"default\" {\n  display {\n    mode          = \"vnc\"\n    password_file = \""+secret+"\"\n  }\n}\n")(t)
				return []string{"chmod 600 " + secret}
			},
		},
		"password that is too long": {
			runtime: "runcvm-profiles",
			prepare: func(t *testing.T) []string {
				secret := passwordFile(t, "abcdefghi")
				write("secret.hcl", "profile \"default\" {\n  display {\n    mode          = \"vnc\"\n    password_file = \""+secret+"\"\n  }\n}\n")(t)
				return []string{secret, "8 bytes"}
			},
		},
		"too little memory": {runtime: "runcvm", options: []string{"--memory", "6m"}, words: []string{"memory"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := alone(t)
			before, err := e.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			words := k.words
			if k.prepare != nil {
				words = append(words, k.prepare(t)...)
			}
			oneError(t, runOn(t, k.runtime, nil, append(k.options, image, "true")...), words...)
			nothingLeft(t, before)
		})
	}
}

func TestMissingEntrypointLeavesNothing(t *testing.T) {
	e := alone(t)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	oneError(t, run(t, image, "nosuchcommand"), `exec: "nosuchcommand": executable file not found in $PATH`)
	nothingLeft(t, before)
}

// TestMalformedConfig runs bundles without an engine in between.
func TestMalformedConfig(t *testing.T) {
	for name, k := range map[string]struct {
		spoil func(config string) string
		word  string
	}{
		"no JSON":      {func(config string) string { return config[:len(config)/2] }, "config.json"},
		"empty":        {func(string) string { return "" }, "config.json"},
		"wrong type":   {func(config string) string { return strings.Replace(config, `"args": [`, `"args": "sh", "rest": [`, 1) }, "args"},
		"no process":   {func(config string) string { return strings.Replace(config, `"process"`, `"other"`, 1) }, "process"},
		"no such root": {func(config string) string { return strings.Replace(config, rootfs.dir, "/no/such/root", 1) }, "/no/such/root"},
		"capability":   {func(config string) string { return strings.Replace(config, `"CAP_KILL"`, `"CAP_TEST"`, 1) }, `"CAP_TEST" is not a capability; there are CAP_CHOWN`},
		"limit":        {func(config string) string { return strings.Replace(config, "RLIMIT_NOFILE", "RLIMIT_TEST", 1) }, `"RLIMIT_TEST" is not a resource limit; there are RLIMIT_AS`},
	} {
		t.Run(name, func(t *testing.T) {
			vmOnly(t)
			e := alone(t)
			before, err := e.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			b := newBundle(t, nil)
			path := filepath.Join(b.dir, "config.json")
			if err := os.WriteFile(path, []byte(k.spoil(content(t, path))), 0o644); err != nil {
				t.Fatal(err)
			}
			r := b.runcvm("run", "--bundle", b.dir, b.id())
			if r.Code == 0 || !strings.Contains(r.Stderr, k.word) || strings.Contains(r.Stderr, "goroutine ") {
				t.Errorf("got %+v, want a failure that names %q", r, k.word)
			}
			nothingLeft(t, before)
		})
	}
}
