package engine

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/seccomp"
)

// compileUnhonoured names what the spec asks for and a machine does not do.
// What every container engine asks for by default is left out: the guest's own
// kernel stands in the place of those defences.
//
// Not here, since they hold: CPU, memory, block I/O, huge page and unified
// limits bound QEMU and virtiofsd, which do the guest's work in the container's
// cgroup.
func (c *compiler) compileUnhonoured() {
	l, r := c.linux(), c.resources()
	c.compileSeccomp(l.Seccomp)
	if n := r.Network; n != nil && (n.ClassID != nil && *n.ClassID != 0 || len(n.Priorities) > 0) {
		c.warn("Network class and priorities not applied", "The classes and priorities of resources.network mark the sockets of the container. The machine's frames pass by its tap without them.")
	}
	if len(r.Rdma) > 0 {
		c.warn("RDMA limits not applied", "The machine has no RDMA devices; the limits of resources.rdma have nothing to limit.")
	}
	if l.IntelRdt != nil {
		c.warn("Cache allocation covers the whole machine", "linux.intelRdt applies to QEMU and virtiofsd as a whole, not to single programs in the guest.")
	}
	if l.Personality != nil && l.Personality.Domain != specs.PerLinux && l.Personality.Domain != "" {
		c.warn("Execution domain not applied", "The execution domain %q of linux.personality is that of the container, not of the guest's programs.", l.Personality.Domain)
	}
	if len(l.NetDevices) > 0 {
		c.warn("Network devices of the host", "linux.netDevices moves interfaces of the host into the container; the machine gets them as copies of their addresses, through taps.")
	}
	if p := l.RootfsPropagation; p == "shared" || p == "rshared" {
		c.warn("Mount propagation ends at the machine", "linux.rootfsPropagation is %q: mounts that the application makes stay in the guest, whose kernel has a mount table of its own.", p)
	}
	if len(l.TimeOffsets) > 0 {
		c.warn("Clock offsets not applied", "The offsets of linux.timeOffsets are for the host's clocks. The guest's monotonic and boot-time clocks begin with its boot.")
	}
	c.warnNamespaces()
	c.warnPlatforms()
	c.refuse()
}

// warnPlatforms names what is for another operating system, or for a kind of
// VM that the specification describes in its own words.
func (c *compiler) warnPlatforms() {
	var other []string
	for _, section := range []struct {
		name  string
		given bool
	}{
		{"solaris", c.spec.Solaris != nil},
		{"windows", c.spec.Windows != nil},
		{"zos", c.spec.ZOS != nil},
		{"freebsd", c.spec.FreeBSD != nil},
		{"process.commandLine", c.spec.Process != nil && c.spec.Process.CommandLine != ""},
	} {
		if section.given {
			other = append(other, section.name)
		}
	}
	if len(other) > 0 {
		c.warn("Settings for other platforms", "The machine runs Linux; these parts of config.json are for other systems: %s.", strings.Join(other, ", "))
	}
	if c.spec.VM != nil {
		c.warn("Section vm not applied", "The machine's hypervisor, kernel and image are chosen by its profile, not by the section vm of config.json. Set kernel.distribution and kernel.version in a profile.")
	}
}

// refuse reports what a machine cannot do and the container's user may rely on.
func (c *compiler) refuse() {
	if h := c.spec.Hooks; h != nil && len(h.StartContainer) > 0 {
		c.diags.Errorf("Hook not supported",
			"hooks.startContainer has the program %q, which is to run inside of the container right before the application. The container around the machine has no program of the image's. Use createRuntime or poststart, which run on the host.", h.StartContainer[0].Path)
	}
	if l := c.linux(); c.namespace(specs.UserNamespace) != nil || len(l.UIDMappings) > 0 || len(l.GIDMappings) > 0 {
		c.diags.Errorf("User namespace not supported",
			"The container is to have a user namespace (dockerd --userns-remap), whose root can reach neither the tools nor the state of the machine. The machine keeps the application's users apart from the host's by its own kernel: docker run --userns=host turns the remapping off for one container.")
	}
}

// warnNamespaces names the namespaces of others that the application would have
// joined. The network's is an error of its own.
func (c *compiler) warnNamespaces() {
	for _, n := range []struct {
		kind specs.LinuxNamespaceType
		what string
	}{
		{specs.IPCNamespace, "shared memory and message queues"},
		{specs.PIDNamespace, "processes"},
	} {
		ns := c.namespace(n.kind)
		if c.spec.Linux != nil && (ns == nil || ns.Path != "") {
			owner := "the host"
			if ns != nil {
				owner = "another container"
			}
			c.warn("Namespace not shared", "The container is to share the %s namespace of %s. The guest has %s of its own.", n.kind, owner, n.what)
		}
	}
}

// compileSeccomp has the guest's kernel do what a seccomp profile of the user's own
// says. The engine's default keeps the host's kernel from harm, which the guest's
// programs do not reach; it would slow down each of their calls.
func (c *compiler) compileSeccomp(profile *specs.LinuxSeccomp) {
	if profile == nil || isDefaultSeccomp(profile) {
		return
	}
	filter, err := seccomp.Compile(profile)
	if err != nil {
		c.warn("Seccomp profile not applied", "The container's seccomp profile is not installed in the guest: %v.", err)
		return
	}
	c.plan.Guest.Seccomp = filter
}

// isDefaultSeccomp tells a container engine's default profile from one of the
// user's. The default differs with the engine's version and the container's
// capabilities: it denies with an error number and allows hundreds of calls.
func isDefaultSeccomp(s *specs.LinuxSeccomp) bool {
	if s.DefaultAction != specs.ActErrno || s.ListenerPath != "" {
		return false
	}
	allowed := 0
	for _, group := range s.Syscalls {
		switch group.Action {
		case specs.ActAllow:
			allowed += len(group.Names)
		case specs.ActErrno:
		default:
			return false
		}
	}
	return allowed > 250
}
