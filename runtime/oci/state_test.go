package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/runtime/supervisor"
)

// olderState is a plan as a version of RunCVM wrote it that had other fields, cut
// down to what matters.
const olderState = `{"format_version":"1","digest":"DIGEST","profiles":["default"],"machine":{"type":"q35","cpus":2,"memory_mib":512,"gone":true},` +
	`"agent":{"transport":"virtio-serial","boot_timeout_seconds":90},"guest":{"process":{"user":{"uid":5,"gid":6},"args":["sleep"],"env":["A=b"],"cwd":"/srv"},"mounts":[]}}` + "\n"

// olderDigest is the SHA-256 of olderState without a digest, as sha256sum(1) has
// it.
const olderDigest = "sha256:64bad119219c607b8b4cbbc7d615b2f4ce5e02a0948857f38a03b0851d274624"

func TestStateOfAnOlderVersion(t *testing.T) {
	r := &Runtime{RunDir: t.TempDir(), Root: "/run/runc"}
	dir := r.StateDir("old")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	state := strings.Replace(olderState, "DIGEST", olderDigest, 1)
	if err := os.WriteFile(filepath.Join(dir, supervisor.PlanFile), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := r.Process("old", ProcessOptions{Args: []string{"true"}, Env: []string{"C=d"}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Cwd != "/srv" || p.User.UID != 5 || strings.Join(p.Env, " ") != "A=b C=d" || strings.Join(p.Args, " ") != "true" {
		t.Errorf("exec's process: %+v", p)
	}
	made, err := r.Plan("old")
	if err != nil {
		t.Fatal(err)
	}
	if made.Agent.BootTimeoutSeconds != 90 || made.Machine.MemoryMiB != 512 {
		t.Errorf("the plan: %+v", made)
	}
	changed := strings.Replace(state, `"cpus":2`, `"cpus":9`, 1)
	if err := os.WriteFile(filepath.Join(dir, supervisor.PlanFile), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Plan("old"); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("one that was changed: %v", err)
	}
}
