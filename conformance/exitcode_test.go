package conformance

import (
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// TestExitCodeHabits gives exit codes as images do that were made for a runtime
// without exit codes.
func TestExitCodeHabits(t *testing.T) {
	exec := []string{"--env", "RUNCVM_INIT_MODE=exec"}
	for name, test := range map[string]struct {
		options []string
		script  string
		code    int
	}{
		"file":                {nil, "echo 7 > /.runcvm/exitcode; exit 3", 7},
		"file of PID 1":       {exec, "echo 8 > /.runcvm/exitcode", 8},
		"no code":             {nil, "echo 256 > /.runcvm/exitcode; exit 3", 3},
		"program":             {nil, "/opt/runcvm/sbin/qemu-exit 9; sleep infinity", 9},
		"program, other path": {nil, "/.runcvm/guest/sbin/qemu-exit 127; sleep infinity", 127},
		"program, no code":    {nil, "trap '' TERM; /opt/runcvm/sbin/qemu-exit; sleep infinity", 0},
		"program by PID 1":    {exec, "/opt/runcvm/sbin/qemu-exit 10; sleep infinity", 10},
		"program by a child":  {exec, "setsid /opt/runcvm/sbin/qemu-exit 11 & sleep infinity", 11},
		"off":                 {[]string{"--env", "RUNCVM_INIT_EXIT_CODE=off"}, "ls -d /.runcvm /opt/runcvm >&2; exit 4", 4},
		"on":                  {[]string{"--env", "RUNCVM_INIT_EXIT_CODE=on"}, "n=run; echo 5 > /.${n}cvm/exitcode", 5},
		"read-only":           {[]string{"--read-only"}, "/opt/runcvm/sbin/qemu-exit 6; sleep infinity", 6},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			vmOnly(t)
			if r := run(t, append(test.options, image, "sh", "-c", test.script)...); r.Code != test.code {
				t.Errorf("want %d: %+v", test.code, r)
			}
		})
	}
}

// TestExitCodeOfAnotherUser has a user who may not end the machine.
func TestExitCodeOfAnotherUser(t *testing.T) {
	start(t)
	vmOnly(t)
	r := run(t, "--user", "1000", image, "sh", "-c", "/opt/runcvm/sbin/qemu-exit 9; echo went on with $?")
	if r.Code != 0 || r.Stdout != "went on with 255\n" || !strings.Contains(r.Stderr, "only by root") {
		t.Errorf("%+v", r)
	}
}

// TestExitCodeOfAnImage has an entrypoint that is a script, and a file that an
// earlier run has left.
func TestExitCodeOfAnImage(t *testing.T) {
	e := start(t)
	vmOnly(t)
	tag := "conformance:exitcode"
	dockerfile := "FROM " + image + `
RUN printf '#!/bin/sh\n[ ! -e /.runcvm/exitcode ] || exit 3\necho 7 > /.runcvm/exitcode\n' > /run.sh && chmod +x /run.sh
ENTRYPOINT ["/run.sh"]
`
	if err := e.BuildImage(t.Context(), tag, dockerfile, ""); err != nil {
		t.Fatal(err)
	}
	c := background(t, tag)
	equal(t, "exit code", c.wait(), "7")
	must(t, docker(t, "start", c.name))
	equal(t, "exit code of the second run", c.wait(), "3")
	plain := background(t, image, "true")
	plain.wait()
	want(t, docker(t, "diff", plain.name), harness.Result{})
}
