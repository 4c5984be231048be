package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machineScript tells of the machine: its vCPUs, and what its kernel was given.
const machineScript = "nproc; grep -o 'asked=[a-z-]*' /proc/cmdline | tr '\\n' ' '; env | grep -c ^RUNCVM_"

// TestVariables sets the machine's vCPUs, memory and kernel arguments for one
// container, by single variables and by a profile in one.
func TestVariables(t *testing.T) {
	vmOnly(t)
	start(t)
	r := run(t, "--env", "RUNCVM_CPUS=2", "--env", "RUNCVM_KERNEL_APPEND=asked=variable", image, "sh", "-c", machineScript)
	equal(t, "the machine", must(t, r), "2\nasked=variable 2\n")

	inline := "machine {\n  memory = \"300M\"\n}\nkernel {\n  append = [\"asked=inline\"]\n}\n"
	r = run(t, "--env", "RUNCVM_PROFILE="+inline, image, "sh", "-c", memoryScript+"; grep -o asked=inline /proc/cmdline >&2")
	if mib := memoryMiB(t, r); mib > 300 || mib < 300-64 {
		t.Errorf("MemTotal is %d MiB of 300", mib)
	}
	equal(t, "kernel argument", r.Stderr, "asked=inline\n")
}

// TestWrongVariables are errors of docker run that say how to mend them.
func TestWrongVariables(t *testing.T) {
	vmOnly(t)
	start(t)
	for variable, words := range map[string][]string{
		"RUNCVM_CPU=2":           {"Unknown variable", `Did you mean \"RUNCVM_CPUS\"?`},
		"RUNCVM_BIOS=bios":       {"RUNCVM_BIOS: Value not allowed", `\"seabios\", \"qboot\" or \"efi\"`},
		"RUNCVM_PROFILE=nothing": {"Unknown profile", `\"secure\"`},
		"RUNCVM_VAR_TIER=small":  {"Unknown variable", "none of them declares"},
	} {
		r := run(t, "--env", variable, image, "true")
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], `\"`, `"`)
		}
		stderr := strings.ReplaceAll(r.Stderr, `\"`, `"`)
		for _, word := range words {
			if r.Code == 0 || !strings.Contains(stderr, word) {
				t.Errorf("%s: exit code %d, %s\nlacks %q", variable, r.Code, r.Stderr, word)
			}
		}
	}
}

// TestProfileInALabel boots an image that brings its profile, in JSON, and asks
// for vCPUs by its environment.
func TestProfileInALabel(t *testing.T) {
	vmOnly(t)
	start(t)
	tag := "conformance:inline"
	dockerfile := "FROM " + image + `
LABEL runcvm.profile='{"inherits": ["debug"], "machine": {"memory": "300M"}, "kernel": {"append": ["asked=label", "vsyscall=emulate"]}}'
ENV RUNCVM_CPUS=2
`
	if err := suite.engine.BuildImage(t.Context(), tag, dockerfile, ""); err != nil {
		t.Fatal(err)
	}
	r := run(t, tag, "sh", "-c", memoryScript+"; nproc >&2; grep -o asked=label /proc/cmdline >&2; grep -c r-xp.*vsyscall /proc/self/maps >&2")
	if mib := memoryMiB(t, r); mib > 300 || mib < 300-64 {
		t.Errorf("MemTotal is %d MiB of 300", mib)
	}
	equal(t, "vCPUs, kernel argument and vsyscall page", r.Stderr, "2\nasked=label\n1\n")
}

// TestRandomAddresses sees whether programs are at other addresses each time: not
// where a patch turns that off, but in the profile "secure" always.
func TestRandomAddresses(t *testing.T) {
	vmOnly(t)
	start(t)
	const script = `grep -o norandmaps /proc/cmdline; cat /proc/sys/kernel/randomize_va_space
		for i in 1 2 3 4; do grep -m 1 'libc.so' /proc/self/maps; done | sort -u | wc -l`
	patched := "norandmaps\n"
	if got := must(t, run(t, image, "sh", "-c", script)); got != patched+"0\n1\n" {
		equal(t, "without the patch", got, "2\n4\n")
		patched = ""
	}
	equal(t, "secure", must(t, run(t, "--env", "RUNCVM_PROFILE=secure", image, "sh", "-c", script)), patched+"2\n4\n")
}

// TestPolicy has a host whose policy keeps images from kernel arguments and
// bounds memory. It runs alone: a folder's policies count for every create.
func TestPolicy(t *testing.T) {
	vmOnly(t)
	alone(t)
	path := filepath.Join(suite.profiles, "policy.hcl")
	const policy = `policy "site" {
  label {
    deny = ["kernel.*"]
  }
  limit "machine.memory" {
    max = "350M"
  }
}
`
	if err := os.WriteFile(path, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	tag := "conformance:asking"
	if err := suite.engine.BuildImage(t.Context(), tag, "FROM "+image+"\nENV RUNCVM_KERNEL_APPEND=asked=image\n", ""); err != nil {
		t.Fatal(err)
	}
	deniedBy := func(what string, args ...string) {
		t.Helper()
		r := runOn(t, "runcvm-profiles", nil, args...)
		stderr := strings.ReplaceAll(r.Stderr, `\"`, `"`)
		for _, word := range []string{"Denied by a policy", `the policy "site" denies "kernel.*" at ` + path + ":3:13", what} {
			if r.Code != 125 || !strings.Contains(stderr, word) {
				t.Errorf("exit code %d, %s\nlacks %q", r.Code, r.Stderr, word)
			}
		}
	}
	deniedBy("label runcvm.profile:1:18", "--label", "runcvm.profile=kernel: {append: [a]}", image, "true")
	deniedBy("RUNCVM_KERNEL_APPEND", tag, "true")
	// Who runs the container is not the image.
	r := runOn(t, "runcvm-profiles", nil, "--env", "RUNCVM_KERNEL_APPEND=asked=user", "--env", "RUNCVM_MEM_SIZE=500M", tag, "sh", "-c",
		memoryScript+"; grep -o 'asked=[a-z]*' /proc/cmdline >&2")
	if mib := memoryMiB(t, r); mib > 350 || mib < 350-64 {
		t.Errorf("MemTotal is %d MiB, the limit is 350", mib)
	}
	equal(t, "kernel argument", r.Stderr, "asked=user\n")
}

// TestHostPatch has a host that changes machines by a patch of its own.
func TestHostPatch(t *testing.T) {
	vmOnly(t)
	alone(t)
	dir := filepath.Join(filepath.Dir(suite.profiles), "patches")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const patch = `patch "site" {
  when   = profile.machine.cpus == 1 && host.arch == "amd64"
  reason = "The test looks for the argument."
  set {
    kernel {
      append = concat(profile.kernel.append, ["asked=patch"])
    }
  }
}
`
	if err := os.WriteFile(filepath.Join(dir, "site.hcl"), []byte(patch), 0o644); err != nil {
		t.Fatal(err)
	}
	r := runOn(t, "runcvm-profiles", nil, image, "sh", "-c", machineScript)
	equal(t, "the machine", r.Stdout, "1\nasked=patch 0\n")
}
