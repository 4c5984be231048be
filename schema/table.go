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
	KernelSource = attr[string](Attribute{
		Block: "kernel", Name: "source", Rules: "oneof=auto image catalogue files",
		Doc: `Where the kernel comes from. "image": the image's own, in the place that is usual for its distribution; "catalogue": the installed ones, by kernel.distribution and kernel.version; "files": files of the host, by kernel.image. "auto" is the first of these that there is: what kernel.image, kernel.distribution or kernel.version names, the image's own, the one of the distribution that the image's /etc/os-release names by ID, then by ID_LIKE, the default.`,
	})
	KernelDistribution = attr[string](Attribute{
		Block: "kernel", Name: "distribution", Rules: "required,printascii,excludesall=/ ,excludes=..",
		Doc: `The distribution whose kernel boots: the name of a folder of the installed kernels, such as "debian". "auto" is that of the image.`,
	})
	KernelVersion = attr[string](Attribute{
		Block: "kernel", Name: "version", Rules: "required,printascii,excludesall=/ ,excludes=..",
		Doc: `The kernel's release as "uname -r" prints it, or "latest" for the distribution's default one.`,
	})
	KernelImage = attr[string](Attribute{
		Block: "kernel", Name: "image", Rules: "max=4096",
		Doc: `The absolute path, on the host, of the kernel image (bzImage) that kernel.source = "files" boots; "" for none.`,
	})
	KernelInitramfs = attr[string](Attribute{
		Block: "kernel", Name: "initramfs", Rules: "max=4096",
		Doc: `The absolute path, on the host, of the initramfs for kernel.image, one that RunCVM has built; "" builds one from kernel.modules_dir.`,
	})
	KernelModulesDir = attr[string](Attribute{
		Block: "kernel", Name: "modules_dir", Rules: "max=4096",
		Doc: `The absolute path, on the host, of the folder with the modules of kernel.image and their modules.dep; "" for a kernel with everything built in.`,
	})
	KernelModules = attr[string](Attribute{
		Block: "kernel", Name: "modules", Aliases: []string{VariableModules}, Rules: "oneof=auto version all none",
		Doc: `How the guest sees the modules of a kernel that is not the image's own. "version": at /lib/modules/<version>, read-only; "all": over the whole /lib/modules; "none": not at all. The mount point is made in the image where it is missing. "auto" is "version" where the image has the program modprobe, else "none".`,
	})
	KernelDebug = attr[bool](Attribute{
		Block: "kernel", Name: "debug",
		Doc: `Whether the kernel says on the console what it does. The console's lines are in the container's supervisor.log.`,
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
	AgentBootTimeout = attr[time.Duration](Attribute{
		Block: "agent", Name: "boot_timeout", Rules: "min=1s,max=1h",
		Doc: `How long the guest may take until it is ready for the entrypoint, as a duration: "60s".`,
	})
	AgentStopTimeout = attr[time.Duration](Attribute{
		Block: "agent", Name: "stop_timeout", Rules: "min=1s,max=1h",
		Doc: `How long the guest may take to power off after its entrypoint has ended, as a duration: "60s".`,
	})
)
