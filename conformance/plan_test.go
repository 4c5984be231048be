package conformance

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// planDiff is what is read of a comparison's JSON.
type planDiff struct {
	FormatVersion string `json:"format_version"`
	Differs       bool
	Changes       []planChange
}

type planChange struct {
	Path, Class, Kind, Cause string
	Old, New                 any
}

// plan calls the installed program as a user does, with the engine's address
// and options before the verb.
func plan(t *testing.T, before []string, args ...string) harness.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := harness.Installed(append(before, "plan")...).Command(ctx, args...)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST="+suite.engine.Socket())
	r, err := harness.Run(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// changes lists the changes of the machine that a comparison found, without
// what follows from them.
func changes(t *testing.T, r harness.Result) []planChange {
	t.Helper()
	var d planDiff
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil {
		t.Fatalf("%v in %+v", err, r)
	}
	var primary []planChange
	for _, c := range d.Changes {
		if c.Class != "none" && c.Kind != "derived" {
			primary = append(primary, c)
		}
	}
	if d.Differs != (len(primary) > 0) {
		t.Errorf("differs is %v with %d changes: %s", d.Differs, len(primary), r.Stdout)
	}
	return primary
}

// TestPlanOfARunningContainer compares a running machine with what would start
// now: nothing, until its profile is edited; then that edit alone. Its plan as
// foreseen from the image and docker run's flags is the one that it runs by.
func TestPlanOfARunningContainer(t *testing.T) {
	vmOnly(t)
	alone(t)
	const body = "profile %q {\n  machine {\n    memory = \"300M\"\n  }\n}\n"
	name := profile(t, body)
	flags := []string{
		"--label", "runcvm.profile=" + name, "--env", "A=1", "--volume", t.TempDir() + ":/data:ro", "--volume", "named:/srv/named",
		"--tmpfs", "/scratch:size=1m,exec", "--mount", "type=tmpfs,destination=/more,tmpfs-size=1m", "--cpus", "1.5", "--pids-limit", "500",
		"--hostname", "host", "--cap-add", "net_admin", "--cap-drop", "mknod", "--ulimit", "nofile=100:200", "--shm-size", "32m",
		"--user", "7:8", "--workdir", "/tmp", "--sysctl", "net.ipv4.ip_forward=1", "--device", "/dev/net/tun", "--security-opt", "no-new-privileges",
	}
	c := backgroundOn(t, "runcvm-profiles", append(flags, image, "sleep", "infinity")...)

	t.Run("nothing differs", func(t *testing.T) {
		id := c.inspect("{{.Id}}")
		for _, asked := range []string{c.name, id, id[:12]} {
			// A shell has other limits than the engine, and no --root of Docker's.
			r := plan(t, nil, "--container", asked, "--detailed-exitcode")
			if r.Code != 0 || !strings.Contains(r.Stdout, "No changes.") || r.Stderr != "" {
				t.Errorf("%s: %+v", asked, r)
			}
		}
	})
	t.Run("foreseen from the image", func(t *testing.T) {
		args := append([]string{"--image", image, "--against", "container:" + c.name, "--format", "json", "--"}, flags...)
		r := plan(t, []string{"--profiles-dir", suite.profiles}, append(args, "sleep", "infinity")...)
		// A container's files are below its ID, and the volume's too.
		for _, found := range changes(t, r) {
			old, _ := found.Old.(string)
			if filepath.Dir(old) == filepath.Dir(hostFile(t, c)) {
				continue
			}
			t.Errorf("foreseen otherwise: %+v", found)
		}
	})
	t.Run("its profile is edited", func(t *testing.T) {
		path := filepath.Join(suite.profiles, name+".hcl")
		edited := strings.Replace(strings.Replace(body, "%q", `"`+name+`"`, 1), "300M", "1G", 1)
		if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
			t.Fatal(err)
		}
		r := plan(t, nil, "--container", c.name, "--detailed-exitcode", "--format", "json")
		equal(t, "exit code", r.Code, 2)
		equal(t, "changes", changes(t, r), []planChange{{
			Path: "machine.memory", Class: "restart", Kind: "attribute", Old: "300MiB", New: "1GiB", Cause: path + ":3:14",
		}})
		text := plan(t, nil, "--container", c.name)
		if want := "machine.memory: 300MiB -> 1GiB, " + path + ":3"; text.Code != 0 || !strings.Contains(text.Stdout, want) {
			t.Errorf("%+v lacks %s", text, want)
		}
	})
	t.Run("no such container", func(t *testing.T) {
		r := plan(t, nil, "--container", c.name+"x")
		if r.Code != 1 || !strings.Contains(r.Stderr, `Did you mean "`+c.name+`"?`) {
			t.Errorf("%+v", r)
		}
	})
}

// hostFile is one of the files that the engine keeps for the container.
func hostFile(t *testing.T, c *container) string {
	t.Helper()
	return c.inspect("{{.HostnamePath}}")
}
