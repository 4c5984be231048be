package engine

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// Kinds of init, as plan.Init.System has them.
const (
	systemd  = "systemd"
	busybox  = "busybox"
	openrc   = "openrc"
	sysvinit = "sysvinit"
	s6       = "s6"
)

// execInit is the word of the kernel's command line by which the entrypoint
// becomes PID 1, as guest/api has it.
const execInit = "runcvm.init=exec"

// Linux signal numbers on x86 and arm. Real-time ones as the C library counts.
const (
	sigInt  = 2
	sigUsr2 = 12
	sigTerm = 15
	rtMin   = 34
)

// endSignals are the signals that an init takes for something else than the
// end, each with the one that powers the machine off, or with the nearest to
// it. They are sent by those who want a container to end: SIGTERM by docker
// stop, SIGRTMIN+3 by images that say what systemd in a container wants.
var endSignals = map[string]map[int]int{
	// systemd re-executes itself at SIGTERM. SIGRTMIN+3 halts, which leaves a
	// machine on; SIGRTMIN+4 powers off. See systemd(1).
	systemd: {sigTerm: rtMin + 4, rtMin + 3: rtMin + 4},
	// busybox init reboots at SIGTERM and powers off at SIGUSR2.
	busybox: {sigTerm: sigUsr2},
	// sysvinit has no signal to end by and ignores SIGTERM. SIGINT, the three
	// keys of a PC, runs what inittab has for ctrlaltdel: shutdown.
	sysvinit: {sigTerm: sigInt},
}

// compileInit decides who is the machine's PID 1.
func (c *compiler) compileInit() {
	i := plan.Init{Mode: schema.InitMode.Of(c.profile), System: c.initSystem()}
	if i.Mode == "auto" {
		i.Mode, i.Reason = c.chooseInit(i.System)
	}
	if i.Mode == plan.InitExec {
		i.Signals = endSignals[i.System]
		c.checkExec()
	}
	i.ExitCode, i.ExitCodeReason = c.exitCode()
	c.plan.Init = i
}

// exitCode says whether the guest has the ways to give an exit code that images
// know from a runtime without exit codes.
func (c *compiler) exitCode() (on bool, reason string) {
	switch schema.InitExitCode.Of(c.profile) {
	case "on":
		return true, ""
	case "off":
		return false, ""
	}
	if c.facts.Image.ExitHabits {
		return true, "The image has the folder " + strings.Join(plan.ExitFolders, " or ") + ", or its entrypoint's script names it."
	}
	if p := c.spec.Process; p != nil && slices.ContainsFunc(p.Args, plan.NamesExitPath) {
		return true, "The command names " + strings.Join(plan.ExitFolders, " or ") + "."
	}
	return false, ""
}

// exitMounts are the programs of plan.Init.ExitCode.
func (c *compiler) exitMounts() []plan.GuestMount {
	var mounts []plan.GuestMount
	if c.plan.Init.ExitCode {
		for _, name := range plan.ExitPrograms {
			mounts = append(mounts, plan.GuestMount{Type: "program", Destination: name, Options: []string{"ro", "nosuid", "nodev"}})
		}
	}
	return mounts
}

// chooseInit is init.mode = "auto".
func (c *compiler) chooseInit(system string) (mode, reason string) {
	name := c.facts.Image.Program
	switch {
	case system == "":
		return plan.InitSupervise, "The entrypoint is not known as an init."
	case system == s6:
		return plan.InitSupervise, "The entrypoint is s6, which ends by exiting: a machine's PID 1 must not."
	case c.spec.Process.User.UID != 0:
		return plan.InitSupervise, fmt.Sprintf("The entrypoint %s is an init, but its user is not root.", name)
	}
	return plan.InitExec, fmt.Sprintf("The entrypoint is an init: %s (%s).", cmp.Or(name, c.spec.Process.Args[0]), system)
}

// checkExec reports what an entrypoint that is the machine's PID 1 cannot have.
func (c *compiler) checkExec() {
	p := c.spec.Process
	if p == nil {
		return
	}
	if p.User.UID != 0 {
		c.diags.Errorf("PID 1 is not root",
			"init.mode is \"exec\", and the container's user is %d: the machine's PID 1 has to be root, to mount file systems and to power off. Leave out docker run --user, or use \"supervise\".%s",
			p.User.UID, c.blame(schema.InitMode.Attribute))
	}
	if !slices.Contains(effective(p), "CAP_SYS_ADMIN") {
		c.warn("The init has the whole machine",
			"The entrypoint is the machine's PID 1, and the machine is what confines it: the container's capabilities, masked and read-only paths and read-only /sys do not apply to it and to its services. They do to processes of docker exec, as far as they are capabilities.")
	}
}

func effective(p *specs.Process) []string {
	if p.Capabilities == nil {
		return nil
	}
	return p.Capabilities.Effective
}

// systemFolders are where programs of the system are: an "init" elsewhere may
// be anything.
var systemFolders = []string{"/sbin", "/usr/sbin", "/bin", "/usr/bin"}

// initSystem is the kind of init that the entrypoint is.
func (c *compiler) initSystem() string {
	switch system := schema.InitSystem.Of(c.profile); {
	case system == "none" || c.spec.Process == nil || len(c.spec.Process.Args) == 0:
		return ""
	case system != "auto":
		return system
	}
	args, program := c.spec.Process.Args, c.facts.Image.Program
	called := path.Base(args[0])
	switch name := path.Base(program); {
	case program == "":
		return ""
	case name == systemd:
		return systemd
	case name == "openrc-init":
		return openrc
	case name == "s6-svscan" || name == "s6-linux-init":
		return s6
	case strings.HasPrefix(name, busybox):
		if called == "init" || called == "linuxrc" || len(args) > 1 && strings.HasPrefix(called, busybox) && args[1] == "init" {
			return busybox
		}
	case name == "init" && slices.Contains(systemFolders, path.Dir(program)):
		return sysvinit
	}
	return ""
}

// initArguments are the words of the kernel's command line for an entrypoint
// that is PID 1.
func (c *compiler) initArguments() []string {
	if c.plan.Init.Mode != plan.InitExec {
		return nil
	}
	args := []string{execInit}
	if c.plan.Init.System != systemd {
		return args
	}
	args = append(args,
		// On the console, the container's log; "quiet" would turn it off.
		"systemd.show_status=1",
		// A container's first start asks nobody for a time zone.
		"systemd.firstboot=no",
	)
	if c.plan.Display.Console == kernelConsole {
		return args // with a getty
	}
	// The kernel's console, for which systemd would start a getty, is the
	// supervisor's; that of the image is a terminal in the place of /dev/console.
	args = append(args, "systemd.getty_auto=no")
	if c.spec.Process.Terminal {
		return append(args, "systemd.wants=console-getty.service")
	}
	return append(args, "TERM=dumb") // no colors in a log
}

// initEnvironment is the environment of an entrypoint that is PID 1. An image
// for systemd in a container often says so by the variable container, at which
// systemd leaves the machine's hardware, mounts and power to somebody else.
func (c *compiler) initEnvironment(env []string) []string {
	if c.plan.Init.Mode != plan.InitExec {
		return env
	}
	return slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, "container=") })
}

// cgroupDir is where control groups are mounted.
const cgroupDir = "/sys/fs/cgroup"

// compileCgroupfs decides what the guest mounts of control groups.
func (c *compiler) compileCgroupfs() {
	g := plan.Cgroupfs{Mode: cgroupMode(schema.CgroupfsMode.Of(c.profile)), ReadOnly: c.plan.Init.Mode != plan.InitExec && c.readOnlyCgroups()}
	if g.Mode == "auto" {
		switch {
		case c.plan.Init.System == systemd:
			g.Mode, g.Reason = "none", "The entrypoint is systemd, which mounts its own."
		case !c.mountsSys():
			g.Mode, g.Reason = "none", "The container has no /sys."
		default:
			g.Mode, g.Reason = "hybrid", "The entrypoint is not systemd, which would mount its own."
		}
	}
	if g.Mode == "none" {
		g.ReadOnly = false
	}
	c.plan.Cgroupfs = g
}

// mountsSys says whether the guest has its kernel's /sys.
func (c *compiler) mountsSys() bool {
	return slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool {
		return m.Type == "sysfs" && path.Clean("/"+m.Destination) == "/sys"
	})
}

// cgroupMode is the mode that another word stands for.
func cgroupMode(mode string) string {
	switch mode {
	case "systemd":
		return "none"
	case "cgroup1":
		return "1"
	case "cgroup2":
		return "2"
	case "mixed":
		return "hybrid"
	}
	return mode
}

// readOnlyCgroups says whether the container's own control groups are to be
// read-only, as for every container without privileges.
func (c *compiler) readOnlyCgroups() bool {
	for _, m := range c.spec.Mounts {
		if path.Clean("/"+m.Destination) == cgroupDir {
			return slices.Contains(m.Options, "ro")
		}
	}
	return false
}
