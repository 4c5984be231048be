package diff

import (
	"slices"
	"strings"
)

// rule says what a value of the plan follows from. The first rule whose path
// is the value's, or leads to it, applies.
type rule struct {
	path string
	// from are attributes, or values of the plan that stand earlier in the table,
	// in the form of path. An attribute's block stands for all of it.
	from []string
	// kind, class and cause are for a change that none of these explains.
	kind  Kind
	class Class
	cause string
}

// anything stands for all attributes, and for all that the host brings.
const anything = "*"

// rules is the table of causes: what follows from what, and what a change
// needs that comes from the container or the host. Sources stand before what
// follows from them. What is not in it follows from the attributes of the block
// that its section is named after.
var rules = []rule{
	{"machine.accel_reason", nil, Host, None, "what was measured"},
	{"machine.accel", []string{"machine.accel"}, Host, Restart, "whether KVM is usable on this host"},
	{"machine.cpus", []string{"machine.cpus"}, Host, Restart, ofProgram},
	{"machine.max_cpus", []string{"machine.max_cpus", "machine.cpus"}, Host, Restart, ofProgram},
	{"machine.type", []string{"machine.type"}, Host, Restart, ofProgram},
	{"machine.bus", []string{"machine.type"}, Host, Restart, ofProgram},
	{"machine.cpu", []string{"machine.cpu_model", "machine.cpu_features", "machine.accel"}, Host, Restart, ofProgram},
	{"machine.memory_mib", []string{"machine.memory", "machine.memory_backend"}, Host, Restart, "the host's huge pages"},
	{"machine.max_memory_mib", []string{"machine.max_memory", "machine.memory"}, Host, Restart, ofProgram},
	{"machine.memory", []string{"machine.memory_backend", "machine.prealloc"}, Host, Restart, "the host's huge pages"},
	{"machine.overhead_mib", []string{"machine.accel"}, Host, Restart, ofProgram},
	{"kernel.command_line", []string{"kernel.append", "kernel.debug", "display", "machine.cpus", "machine.accel", "machine.max_memory", "machine.memory", "firmware.type"}, Host, Restart, "the host's processor"},
	{"kernel.modules_reason", []string{"kernel.modules", "kernel.source"}, Host, None, "what the image has"},
	{"kernel.modules", []string{"kernel.modules", "kernel.source"}, Host, Restart, "what the image has"},
	{"kernel.image", []string{"kernel", "display"}, Host, Restart, theKernels},
	{"kernel.reason", []string{"kernel"}, Host, None, theKernels},
	{"kernel", []string{"kernel.source", "kernel.distribution", "kernel.version", "kernel.image", "kernel.initramfs", "kernel.modules_dir", "firmware.type"}, Host, Restart, theKernels},

	{"network.ports", []string{"network.ports", "display"}, Host, Restart, ofProgram},

	// Where the container's files are is another place for each container.
	{"rootfs.host_path", nil, Container, None, "where the container's root is on the host"},
	{"rootfs.read_only", []string{"rootfs.read_only"}, Container, Recreate, "--read-only"},

	{"rootfs.volumes_cache", []string{"rootfs.cache", "volumes.cache"}, Host, Restart, ofProgram},

	{"network.mode_reason", nil, Host, None, kernelParts},
	{"network.mode", []string{"network.mode"}, Host, Restart, kernelParts},
	{"network.nics", []string{"nic", "network", "machine.cpus"}, Host, Restart, ofProgram},

	{"guest.hostname", nil, Container, Recreate, "--hostname"},
	{"guest.domainname", nil, Container, Recreate, "--domainname"},
	{"guest.process.args", nil, Container, Recreate, "the command"},
	{"guest.process.env[TERM]", []string{"display"}, Container, Recreate, "--env, or the image"},
	{"guest.process.env[HOSTNAME]", []string{"guest.hostname"}, Container, Recreate, "--env"},
	{"guest.process.env", nil, Container, Recreate, "--env, or the image"},
	{"guest.process.user", nil, Container, Recreate, "--user, or the image"},
	{"guest.process.cwd", nil, Container, Recreate, "--workdir, or the image"},
	{"guest.process.terminal", nil, Container, Recreate, "--tty"},
	{"guest.process.capabilities", nil, Container, Recreate, "--cap-add, --cap-drop or --privileged"},
	{"guest.process.rlimits", nil, Container, Recreate, "--ulimit"},
	{"guest.process", nil, Container, Recreate, ofContainer},
	{"guest.mounts[" + diskMount, []string{"disk"}, Host, Restart, ofProgram},
	{"guest.mounts[/dev]", []string{"display", "machine.usb", "init"}, Container, Recreate, "--volume, --mount or --tmpfs"},
	{"guest.mounts[/.runcvm/guest/sbin/qemu-exit]", []string{"init.exit_code"}, Host, Restart, "what the image has"},
	{"guest.mounts[/opt/runcvm/sbin/qemu-exit]", []string{"init.exit_code"}, Host, Restart, "what the image has"},
	{"guest.mounts[/lib/modules]", []string{"kernel.modules", "kernel.version"}, Host, Restart, theKernels},
	{"sockets", nil, Container, Recreate, "--volume or --mount"},
	{"guest.mounts", nil, Container, Recreate, "--volume, --mount or --tmpfs"},
	{"guest.devices", nil, Container, Recreate, "--device or --privileged"},
	{"guest.sysctl", []string{"network.mode", "network.ports"}, Container, Recreate, "--sysctl"},
	{"guest.pids_limit", []string{"init"}, Container, Hot, "--pids-limit"},
	{"guest.seccomp", nil, Container, Recreate, "--security-opt seccomp"},
	{"guest.known_files", []string{"oci.nofile"}, Host, Restart, "the limit of open files that the container engine runs with"},
	{"guest", nil, Container, Recreate, ofContainer},

	{"oci.mounts[/vm/rootfs].source", nil, Container, None, "where the container's root is on the host"},
	{"oci.mounts[/upper]", nil, Container, None, "where the container's root is on the host"},
	{"oci.mounts[/vm/rootfs]", []string{"rootfs.read_only"}, Container, Recreate, "--read-only"},
	{"oci.mounts[/run/runcvm].source", nil, Container, None, "where the container's state is on the host"},
	{"oci.mounts[/kernel]", []string{"kernel"}, Host, Restart, theKernels},
	{"oci.mounts[/vm/volumes/modules]", []string{"kernel"}, Host, Restart, theKernels},
	{"oci.mounts[/dev/shm]", []string{"machine.memory_backend", "machine.memory", "machine.max_memory"}, Container, Recreate, "--shm-size"},
	{"oci.mounts", []string{"guest.mounts"}, Container, Recreate, "--volume, --mount or --tmpfs"},
	// Where a disk's file is follows from the volumes as well.
	{"disks", []string{"disk", "oci.mounts"}, Host, Restart, ofProgram},
	{"block_devices", nil, Container, Recreate, "--device"},
	{"oci.devices", []string{"block_devices", "network.mode", "machine.accel"}, Host, Restart, ofProgram},
	{"oci.device_rules", []string{"block_devices", "network.mode", "machine.accel"}, Host, Restart, ofProgram},
	{"oci.sysctl", []string{"network.mode"}, Host, Restart, ofProgram},
	{"oci.capabilities", []string{"security.sys_admin", "network.mode"}, Host, Restart, ofProgram},
	{"oci.memory_limit", []string{"machine.memory", "machine.accel"}, Container, Recreate, "--memory"},
	// "docker update" reaches the cgroup of a running machine.
	{"oci.pids_limit", nil, Container, Hot, "--pids-limit"},
	{"oci.cpu", nil, Container, Hot, "--cpus, --cpu-shares or --cpuset-cpus"},
	{"oci.nofile", nil, Host, Restart, "the limit of open files that the container engine runs with"},
	{"oci", nil, Host, Restart, ofProgram},

	{"processes.qemu.argv[-m]", []string{"machine.memory", "machine.max_memory", "machine.memory_backend"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-object ram]", []string{"machine.memory", "machine.memory_backend", "machine.prealloc"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-object more]", []string{"machine.memory", "machine.max_memory", "machine.memory_backend"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-device more-memory]", []string{"machine.memory", "machine.max_memory", "machine.memory_backend", "machine.prealloc"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-device balloon]", []string{"machine.type"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-machine]", []string{"machine.type", "firmware.type"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-smp]", []string{"machine.cpus", "machine.max_cpus"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-accel]", []string{"machine.accel"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-cpu]", []string{"machine.accel", "machine.cpu_model", "machine.cpu_features", "machine.nested", "kvm"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-bios]", []string{"firmware"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-vnc]", []string{"display"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-display]", []string{"display"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-audiodev]", []string{"display"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-blockdev efi-code]", []string{"firmware"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-blockdev efi-vars]", []string{"firmware"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-device firmware-port]", []string{"firmware"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-device console-port]", []string{"firmware"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-serial]", []string{"firmware"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-append]", []string{"display", "firmware.type", "kernel.append", "kernel.debug", "kernel.command_line", "machine.cpus", "machine.accel", "machine.max_memory", "machine.memory"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-kernel]", []string{"kernel", "display"}, Host, Restart, ofProgram},
	{"processes.qemu.argv[-initrd]", []string{"kernel"}, Host, Restart, ofProgram},
	{"processes.virtiofsd.argv[program]", nil, Host, Restart, "the installed virtiofsd"},
	{"processes.virtiofsd", []string{"rootfs", "processes.virtiofsd.argv[program]"}, Host, Restart, "the installed virtiofsd"},
	{"processes", []string{anything}, Host, Restart, ofProgram},
}

const (
	ofProgram   = "the installation, or the version of RunCVM"
	kernelParts = "what the host's kernel has"
	theKernels  = "the installed kernels"
	ofContainer = "the container's configuration"
)

// ruleOf finds the rule of a path and its place in the table.
func ruleOf(path string) (int, rule) {
	for i, r := range rules {
		if leads(r.path, path) {
			return i, r
		}
	}
	section, _, _ := strings.Cut(path, ".")
	section, _, _ = strings.Cut(section, "[")
	return len(rules), rule{section, []string{section}, Host, Restart, ofProgram}
}

// leads says whether path is prefix, or lies within it. A prefix that ends in a
// colon stands for all elements whose names begin so.
func leads(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[' || strings.HasSuffix(prefix, ":"))
}

// attribute gives each changed value of the plan its cause: changes of
// attributes that it follows from, else the container or the host, or a value
// that one of those has changed.
func attribute(attributes, values []Change) []Change {
	at := make([]int, len(values))
	primary := make([]bool, len(values))
	order := make([]int, len(values))
	for i := range values {
		at[i], _ = ruleOf(values[i].Path)
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return at[a] - at[b] })
	out := make([]Change, 0, len(values))
	for _, i := range order {
		c := values[i]
		_, r := ruleOf(c.Path)
		var roots []Change
		for _, a := range attributes {
			if a.Class != None && r.follows(a) {
				roots = append(roots, a)
			}
		}
		for _, j := range order {
			if primary[j] && at[j] < at[i] && r.follows(values[j]) {
				roots = append(roots, values[j])
			}
		}
		c.Kind, c.Class, c.Cause = r.kind, r.class, r.cause
		if strings.HasPrefix(r.cause, "--") {
			c.Cause = "docker's " + r.cause
		}
		if len(roots) > 0 && r.class != None {
			c.deriveFrom(roots)
		} else {
			primary[i] = r.class != None
			values[i] = c
		}
		out = append(out, c)
	}
	return out
}

func (r *rule) follows(c Change) bool {
	return slices.ContainsFunc(r.from, func(f string) bool {
		return leads(f, c.Path) || f == anything && c.Kind != Container
	})
}

func (c *Change) deriveFrom(roots []Change) {
	c.Kind, c.Class = Derived, None
	for _, root := range roots {
		c.Class = stronger(c.Class, root.Class)
		if !slices.Contains(c.Because, root.Path) {
			c.Because = append(c.Because, root.Path)
		}
	}
	c.Cause = "follows from " + strings.Join(c.Because, ", ")
}
