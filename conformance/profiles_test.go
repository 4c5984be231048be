package conformance

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

// profile writes a host profile for the runtime "runcvm-profiles" and returns
// its name.
func profile(t *testing.T, body string) string {
	t.Helper()
	name := fmt.Sprintf("p%d", names.Add(1))
	path := filepath.Join(suite.profiles, name+".hcl")
	if err := os.WriteFile(path, []byte(fmt.Sprintf(body, name)), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	return name
}

const memoryScript = "grep MemTotal /proc/meminfo"

// memoryMiB reads what memoryScript printed.
func memoryMiB(t *testing.T, r harness.Result) int {
	t.Helper()
	fields := strings.Fields(must(t, r))
	if len(fields) != 3 {
		t.Fatalf("no MemTotal: %+v", r)
	}
	kib, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

// TestProfileOfALabel boots what a host profile says that the image's label
// names. It runs alone: all of a folder's profiles are read at every create.
func TestProfileOfALabel(t *testing.T) {
	vmOnly(t)
	alone(t)
	name := profile(t, `profile %q {
  machine {
    memory = "700M"
    cpus   = 2
  }
  kernel {
    append = ["runcvm.conformance=yes"]
  }
}
`)
	r := runOn(t, "runcvm-profiles", nil, "--label", "runcvm.profile="+name, image, "sh", "-c",
		memoryScript+"; nproc >&2; grep -o runcvm.conformance=yes /proc/cmdline >&2")
	if mib := memoryMiB(t, r); mib > 700 || mib < 700-64 {
		t.Errorf("MemTotal is %d MiB of 700", mib)
	}
	equal(t, "vCPUs and kernel argument", r.Stderr, "2\nruncvm.conformance=yes\n")

	t.Run("of the image", func(t *testing.T) {
		tag := "conformance:" + name
		if err := suite.engine.BuildImage(t.Context(), tag, "FROM "+image+"\nLABEL runcvm.profile="+name+"\n", ""); err != nil {
			t.Fatal(err)
		}
		r := runOn(t, "runcvm-profiles", nil, tag, "sh", "-c", memoryScript)
		if mib := memoryMiB(t, r); mib > 700 || mib < 700-64 {
			t.Errorf("MemTotal is %d MiB of 700", mib)
		}
	})
	t.Run("docker's flag wins", func(t *testing.T) {
		r := runOn(t, "runcvm-profiles", nil, "--label", "runcvm.profile="+name, "--memory", "400m", image, "sh", "-c", memoryScript)
		if mib := memoryMiB(t, r); mib > 400 || mib < 400-64 {
			t.Errorf("MemTotal is %d MiB of 400", mib)
		}
	})
}

// TestHostDefaultProfile has a host profile named default, which applies to
// every container.
func TestHostDefaultProfile(t *testing.T) {
	vmOnly(t)
	alone(t)
	path := filepath.Join(suite.profiles, "default.hcl")
	if err := os.WriteFile(path, []byte("profile \"default\" {\n  machine {\n    memory = \"350M\"\n  }\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	r := runOn(t, "runcvm-profiles", nil, image, "sh", "-c", memoryScript)
	if mib := memoryMiB(t, r); mib > 350 || mib < 350-64 {
		t.Errorf("MemTotal is %d MiB of 350", mib)
	}
}

// TestPlanOfABundle prints the plan of a bundle twice: it is the same, and
// says where its values come from.
func TestPlanOfABundle(t *testing.T) {
	vmOnly(t)
	alone(t)
	b := newBundle(t, nil)
	first := b.runcvm("plan", "--bundle", b.dir, "--format", "json")
	second := b.runcvm("plan", "--bundle", b.dir, "--format", "json")
	equal(t, "second plan", must(t, second), must(t, first))
	var plan struct {
		FormatVersion string `json:"format_version"`
		Digest        string `json:"digest"`
		Machine       struct {
			MemoryMiB int `json:"memory_mib"`
		} `json:"machine"`
		Origins map[string]struct {
			Kind, Where string
		} `json:"origins"`
	}
	if err := json.Unmarshal([]byte(first.Stdout), &plan); err != nil {
		t.Fatalf("%v in %s", err, first.Stdout)
	}
	if plan.FormatVersion == "" || !strings.HasPrefix(plan.Digest, "sha256:") || plan.Machine.MemoryMiB == 0 || len(plan.Origins) == 0 {
		t.Errorf("plan: %+v", plan)
	}
	text := must(t, b.runcvm("plan", "--bundle", b.dir))
	if !strings.Contains(text, strconv.Itoa(plan.Machine.MemoryMiB)) {
		t.Errorf("the plan for people lacks the memory:\n%s", text)
	}
}
