package schema

import (
	"time"

	"github.com/runcvm/runcvm/schema/units"
)

// The attributes of the language, a block after the other. An attribute is
// here only when the virtual machine shows its effect.
var (
	MachineAccel = attr[string](Attribute{
		Block: "machine", Name: "accel", Rules: "oneof=auto kvm tcg",
		Aliases: []string{"RUNCVM_ACCEL"},
		Doc:     `How the guest's instructions run. "kvm" uses the processor and fails where KVM is not usable; "tcg" translates in software and runs everywhere; "auto" is "kvm" where it is usable, else "tcg" with a warning.`,
	})
	MachineCPUs = attr[int](Attribute{
		Block: "machine", Name: "cpus", Rules: "min=1,max=255",
		Reference: "container.cpus", Flag: "--cpus",
		Variable: "RUNCVM_CPUS",
		Doc:      "The number of vCPUs.",
	})
	MachineMemory = attr[units.Bytes](Attribute{
		Block: "machine", Name: "memory", Rules: "min=1048576,max=1099511627776",
		Reference: "container.memory", Flag: "--memory",
		Variable: "RUNCVM_MEM_SIZE", Aliases: []string{"RUNCVM_MEMORY"},
		Doc: `The guest's RAM, as a size: "512M", "1G", "300MiB". A fraction of a mebibyte is dropped.`,
	})
	KernelDistribution = attr[string](Attribute{
		Block: "kernel", Name: "distribution", Rules: "required,excludesall=/ ",
		Doc: `The distribution whose kernel boots: the name of a folder of the installed kernels, such as "debian".`,
	})
	KernelVersion = attr[string](Attribute{
		Block: "kernel", Name: "version", Rules: "required,excludesall=/ ",
		Doc: `The kernel's release as "uname -r" prints it, or "latest" for the distribution's default one.`,
	})
	KernelAppend = attr[[]string](Attribute{
		Block: "kernel", Name: "append", Rules: "max=64,dive,required,printascii",
		Doc: "Arguments added at the end of the kernel's command line.",
	})
	FirmwareType = attr[string](Attribute{
		Block: "firmware", Name: "type", Rules: "oneof=seabios qboot",
		Variable: "RUNCVM_BIOS", Aliases: []string{"RUNCVM_FIRMWARE"},
		Doc: `What runs before the kernel. "qboot" starts sooner; "seabios" is the more complete one.`,
	})
	RootfsCache = attr[string](Attribute{
		Block: "rootfs", Name: "cache", Rules: "oneof=auto always none",
		Variable: "RUNCVM_VIRTIOFSD_CACHE", Aliases: []string{"RUNCVM_ROOTFS_CACHE"},
		Doc: `What the guest keeps of the shared files. "always" keeps names and contents and asks about changes after a second; "auto" asks at each opening; "none" keeps nothing.`,
	})
	NetworkMode = attr[string](Attribute{
		Block: "network", Name: "mode", Rules: "oneof=auto none",
		Doc: `"auto" gives the machine the container's own interfaces, with their addresses; "none" gives it the loopback only.`,
	})
	InitMode = attr[string](Attribute{
		Block: "init", Name: "mode", Rules: "oneof=auto supervise exec",
		Aliases: []string{"RUNCVM_INIT"},
		Doc:     `Who is the machine's PID 1. "supervise" is runcvm-guest, with the entrypoint as PID 1 of a namespace; the container ends with it. "exec" is the entrypoint itself, with the whole machine at its command; the container ends when it powers the machine off. "auto" is "exec" for an entrypoint that is an init (systemd, openrc-init, busybox init, sysvinit), else "supervise".`,
	})
	InitSystem = attr[string](Attribute{
		Block: "init", Name: "system", Rules: "oneof=auto systemd openrc busybox sysvinit none",
		Doc: `What kind of init the entrypoint is or ends in, which decides how it is asked to power off and what it is told on the kernel's command line. "auto" looks at the entrypoint's program.`,
	})
	CgroupfsMode = attr[string](Attribute{
		Block: "cgroupfs", Name: "mode", Rules: "oneof=auto none systemd 1 cgroup1 2 cgroup2 hybrid mixed",
		Variable: "RUNCVM_CGROUPFS",
		Doc:      `What the guest mounts at /sys/fs/cgroup. "1" (or "cgroup1") is a hierarchy for each controller; "2" (or "cgroup2") the unified one; "hybrid" (or "mixed") both, the unified one at /sys/fs/cgroup/unified; "none" (or "systemd") nothing. "auto" is "none" for an entrypoint that is systemd, else "hybrid", as far as the kernel has it.`,
	})
	AgentBootTimeout = attr[time.Duration](Attribute{
		Block: "agent", Name: "boot_timeout", Rules: "min=1s,max=1h",
		Doc: `How long the guest may take until it is ready for the entrypoint, as a duration: "60s".`,
	})
	AgentStopTimeout = attr[time.Duration](Attribute{
		Block: "agent", Name: "stop_timeout", Rules: "min=1s,max=1h",
		Doc: `How long the guest may take to power off after its entrypoint has ended, as a duration: "60s".`,
	})
)
