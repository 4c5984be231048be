package engine

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
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
	if l.Seccomp != nil && !isDefaultSeccomp(l.Seccomp) {
		c.warn("Seccomp profile not applied", "The container has a seccomp profile of its own. The application's system calls are served by the guest's kernel, where the profile is not installed.")
	}
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
	c.warnNamespaces()
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
