package engine_test

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles"
)

// TestInit has each kind of entrypoint and what "auto" makes of it.
func TestInit(t *testing.T) {
	for _, test := range []struct {
		program string
		args    []string
		uid     uint32

		mode, system, cgroupfs string
		term                   int // what SIGTERM becomes
	}{
		{"", []string{"app"}, 0, "supervise", "", "hybrid", 0},
		{"/usr/bin/app", []string{"app"}, 0, "supervise", "", "hybrid", 0},
		{"/usr/lib/systemd/systemd", []string{"/sbin/init"}, 0, "exec", "systemd", "none", 38},
		{"/lib/systemd/systemd", []string{"/lib/systemd/systemd", "--log-level=debug"}, 0, "exec", "systemd", "none", 38},
		{"/usr/lib/systemd/systemd", []string{"/sbin/init"}, 5, "supervise", "systemd", "none", 0},
		{"/usr/lib/systemd/systemd-journald", []string{"systemd"}, 0, "supervise", "", "hybrid", 0},
		{"/usr/sbin/openrc-init", []string{"openrc-init"}, 0, "exec", "openrc", "hybrid", 0},
		{"/usr/bin/busybox", []string{"/sbin/init"}, 0, "exec", "busybox", "hybrid", 12},
		{"/bin/busybox.static", []string{"busybox", "init"}, 0, "exec", "busybox", "hybrid", 12},
		{"/bin/busybox", []string{"sh"}, 0, "supervise", "", "hybrid", 0},
		{"/bin/busybox", []string{"/bin/busybox", "sh", "init"}, 0, "supervise", "", "hybrid", 0},
		{"/usr/sbin/init", []string{"init"}, 0, "exec", "sysvinit", "hybrid", 2},
		{"/init", []string{"/init"}, 0, "supervise", "", "hybrid", 0},
		{"/usr/local/bin/init", []string{"init"}, 0, "supervise", "", "hybrid", 0},
		{"/sbin/docker-init", []string{"/sbin/docker-init", "--", "/sbin/init"}, 0, "supervise", "", "hybrid", 0},
		{"/usr/bin/s6-svscan", []string{"s6-svscan", "/service"}, 0, "supervise", "s6", "hybrid", 0},
	} {
		spec := &specs.Spec{
			Process: &specs.Process{Args: test.args, Cwd: "/", User: specs.User{UID: test.uid}},
			Root:    &specs.Root{Path: "/root"},
			Mounts:  []specs.Mount{{Destination: "/sys", Type: "sysfs", Source: "sysfs"}},
		}
		facts := &plan.Facts{Image: plan.Image{Program: test.program}}
		profile, diags := profiles.Resolve(new(profiles.Set), profiles.Request{}, engine.Variables(spec, facts))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		p, _ := engine.Compile(profile, spec, facts)
		if p.Init.Mode != test.mode || p.Init.System != test.system || p.Init.Signals[15] != test.term || p.Cgroupfs.Mode != test.cgroupfs || p.Init.Reason == "" {
			t.Errorf("%s %q, user %d: %+v, control groups %+v", test.program, test.args, test.uid, p.Init, p.Cgroupfs)
		}
	}
}
