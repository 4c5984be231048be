package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// held asks where the boot of a container holds, or has it go on.
func (c *container) held(options ...string) (h struct {
	Breakpoint string
	PID        int
	StateDir   string `json:"state_dir"`
},
) {
	c.t.Helper()
	args := append(append([]string{"debug", "--format", "json"}, options...), c.name)
	out, err := harness.Installed().Command(c.t.Context(), args...).CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, &h)
	}
	if err != nil {
		c.t.Fatalf("runcvm debug: %v: %s", err, out)
	}
	return h
}

// TestBreakpoints holds a boot at each breakpoint and looks at what is there, for
// longer than the boot may take.
func TestBreakpoints(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, "--env", "RUNCVM_BREAK=prenet,postnet,preqemu", "--env", "RUNCVM_RUNTIME_DEBUG=1", "--env", "RUNCVM_QEMU_DEBUG=1",
		"--volume", "/disks", "--env", "RUNCVM_DISKS=/disks/a,/a,ext4,16M", image, "sh", "-c", "echo up; exec sleep infinity")
	for _, point := range []struct {
		name                  string
		tap, virtiofsd, drive bool
	}{{"prenet", false, false, false}, {"postnet", true, true, false}, {"preqemu", true, true, true}} {
		var pid int
		eventually(t, "the boot holds at "+point.name, func() bool {
			h := c.held()
			pid = h.PID
			return h.Breakpoint == point.name
		})
		c.logged(`runcvm: the boot holds at ` + point.name + `; "runcvm debug" tells how to look around and to go on`)
		links, err := exec.CommandContext(t.Context(), "nsenter", "--target", strconv.Itoa(pid), "--net", "ip", "-o", "link").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, links)
		}
		_, daemon := descendant(pid, "virtiofsd")
		_, qemu := descendant(pid, "qemu-system")
		drive := false
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, f := range files {
			to, _ := os.Readlink(f)
			drive = drive || strings.HasSuffix(to, "/a")
		}
		// Beside lo and eth0.
		if tap := strings.Count(string(links), "\n") > 2; tap != point.tap || daemon != point.virtiofsd || drive != point.drive || qemu {
			t.Errorf("at %s: tap %v, virtiofsd %v, disk %v, QEMU %v\n%s", point.name, tap, daemon, drive, qemu, links)
		}
		c.held("--continue")
	}
	c.logged("up")
	id, state := c.inspect("{{.Id}}"), c.held().StateDir
	r := harness.Installed().Command(t.Context(), "debug", "--continue", c.name)
	if out, err := r.CombinedOutput(); err == nil || !strings.Contains(string(out), "does not hold") {
		t.Errorf("to go on from nowhere: %v %s", err, out)
	}

	// What the verbs have done stays on the host; QEMU's end is in the log that goes
	// with the container.
	log, err := os.Open(filepath.Join(state, "supervisor.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	must(t, docker(t, "stop", "--time", stopLimit, c.name))
	said, err := io.ReadAll(log)
	for _, word := range []string{`"msg":"QEMU ended","code":0`, `"msg":"QEMU's memory"`, "oom_kill"} {
		if err != nil || !strings.Contains(string(said), word) {
			t.Errorf("supervisor.log lacks %s: %v\n%s", word, err, said)
		}
	}
	path := filepath.Join(harness.RunDir(), "debug", id+".log")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the verbs' log: %v %v", info, err)
	}
	for _, word := range []string{`"create"`, `"start"`, `"kill"`, `"delete"`, `"msg":"plan"`, `"msg":"ran runc"`, `"msg":"done"`} {
		if said := content(t, path); !strings.Contains(said, word) {
			t.Errorf("the verbs' log lacks %s:\n%s", word, said)
		}
	}
}

// TestBreakpointAndStop stops a container whose boot holds.
func TestBreakpointAndStop(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, "--env", "RUNCVM_BREAK=preqemu", image, "true")
	must(t, docker(t, "stop", "--time", stopLimit, c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "143")
	must(t, docker(t, "start", c.name))
	must(t, docker(t, "kill", c.name))
	equal(t, "exit code", c.wait(), "137")
	// One whose boot may take no longer than a second holds all the same, and then
	// says on its standard error why it has ended.
	short := background(t, "--env", "RUNCVM_BREAK=prenet", "--env", "RUNCVM_AGENT_BOOT_TIMEOUT=1s", image, "sleep", "infinity")
	eventually(t, "the boot holds", func() bool { return short.held().Breakpoint == "prenet" })
	short.held("--continue")
	equal(t, "exit code", short.wait(), "125")
	if logs := short.logs().Stderr; !strings.Contains(logs, "agent.boot_timeout") {
		t.Errorf("it does not say why it ended: %s", logs)
	}
	if r := run(t, "--env", "RUNCVM_BREAK=preboot", image, "true"); r.Code == 0 || !strings.Contains(r.Stderr, `"prenet", "postnet" or "preqemu"`) {
		t.Errorf("a breakpoint that there is not: %+v", r)
	}
}
