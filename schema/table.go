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
	MachineType = attr[string](Attribute{
		Block: "machine", Name: "type", Rules: "oneof=q35 microvm",
		Doc: `The kind of machine. "q35" is a PC with a PCI bus, which can have everything; "microvm" a small one, whose devices are on no bus (virtio-mmio), without EFI firmware or memory that grows; its kernel needs the driver virtio_mmio. A microvm has room for 24 devices, on KVM for 8, or for 14 with kvm.kernel_irqchip = "split": each disk and interface is one, and up to four are always there.`,
	})
	MachineCPUModel = attr[string](Attribute{
		Block: "machine", Name: "cpu_model", Rules: "required,printascii,excludesall=0x2C =,max=64",
		Doc: `The guest's processor, by the name that QEMU has for it, such as "Nehalem" or "EPYC-v4". "host" is the host's own and needs KVM; "max" has all that can be had; "auto" is "host" with KVM, else "max".`,
	})
	MachineCPUFeatures = attr[[]string](Attribute{
		Block: "machine", Name: "cpu_features", Rules: "max=64,dive,required,printascii,excludesall=0x2C =,max=64",
		Doc: `Features of the processor that are added or taken away, by QEMU's names: ["+avx2", "-aes"]. What the processor that runs the machine lacks is an error.`,
	})
	MachineCPUs = attr[int](Attribute{
		Block: "machine", Name: "cpus", Rules: "min=1,max=255",
		Reference: "container.cpus", Flag: "--cpus",
		Variable: "RUNCVM_CPUS",
		Doc:      "The number of vCPUs.",
	})
	MachineMaxCPUs = attr[int](Attribute{
		Block: "machine", Name: "max_cpus", Rules: "min=0,max=255",
		Doc: `How many vCPUs the machine may have while it runs: docker update --cpus and --cpuset-cpus set whole ones to work or to rest, between one and this many, and add those that are missing. 0 is no more than machine.cpus.`,
	})
	MachineMemory = attr[units.Bytes](Attribute{
		Block: "machine", Name: "memory", Rules: "min=1048576,max=1099511627776",
		Reference: "container.memory", Flag: "--memory",
		Variable: "RUNCVM_MEM_SIZE", Aliases: []string{"RUNCVM_MEMORY"},
		Doc: `The guest's RAM, as a size: "512M", "1G", "300MiB". A fraction of a mebibyte is dropped.`,
	})
	MachineMaxMemory = attr[units.Bytes](Attribute{
		Block: "machine", Name: "max_memory", Rules: "max=1099511627776",
		Doc: `What the guest's RAM may grow to while the machine runs, as a size: docker update --memory changes it between 96M and this. What is more than machine.memory comes and goes by virtio-mem, in blocks of some mebibytes, what is less by a balloon. "0B" is no more than machine.memory.`,
	})
	MachineMemoryBackend = attr[string](Attribute{
		Block: "machine", Name: "memory_backend", Rules: "oneof=memfd shm hugetlb",
		Aliases: []string{VariableHugeTLB},
		Doc:     `What holds the guest's RAM on the host. "memfd" is an anonymous file; "shm" a file in a /dev/shm of the machine's own; "hugetlb" huge pages that the host has set aside (vm.nr_hugepages), of the largest size of which there are enough: the RAM is a multiple of it, a fraction is dropped.`,
	})
	MachinePrealloc = attr[bool](Attribute{
		Block: "machine", Name: "prealloc",
		Variable: "RUNCVM_QEMU_MEM_PREALLOC",
		Doc:      `Whether the guest has all of its RAM from the start, instead of page by page when it uses it first: a slower start, an even speed later.`,
	})
	MachineNested = attr[bool](Attribute{
		Block: "machine", Name: "nested",
		Doc: `Whether the guest's processor has virtualisation of its own (Intel's VMX, AMD's SVM), so that the guest can run virtual machines.`,
	})
	MachineUSB = attr[bool](Attribute{
		Block: "machine", Name: "usb",
		Variable: "RUNCVM_QEMU_USB", Aliases: []string{"RUNCVM_MACHINE_USB"},
		Doc: `Whether the machine has a USB controller (xHCI) with a tablet, a pointer that is where the one of the display is. The guest's kernel needs drivers for both; Debian's cloud kernel has none.`,
	})
	MachineVFIO = attr[[]string](Attribute{
		Block: "machine", Name: "vfio", Rules: "max=64,dive,required,printascii,max=12",
		Doc: `PCI devices of the host that become the machine's, by their addresses: ["0000:01:00.0"]. The host's driver vfio-pci has to have them, with all devices of their IOMMU groups. The machine's whole RAM is then taken from the start.`,
	})
	KVMKernelIRQChip = attr[string](Attribute{
		Block: "kvm", Name: "kernel_irqchip", Rules: "oneof=on split",
		Doc: `Who emulates the interrupt controllers. "on": the host's kernel; "split": the kernel those of the processors (local APIC), QEMU the others (IOAPIC, PIC) and the timer (PIT), so that the guest reaches less of the host's kernel. Of no effect without KVM.`,
	})
	KVMLostTickPolicy = attr[string](Attribute{
		Block: "kvm", Name: "lost_tick_policy", Rules: "oneof=delay discard",
		Doc: `What becomes of timer ticks (kvm-pit) that came while a vCPU did not run. "delay" delivers them late, at the normal rate, so that a guest that counts ticks falls behind; "discard" drops them. Of no effect without KVM, or with another kernel_irqchip than "on".`,
	})
	KVMHaltPoll = attr[string](Attribute{
		Block: "kvm", Name: "halt_poll", Rules: "oneof=host guest",
		Doc: `Who waits actively for a moment when a vCPU has nothing to do, which makes answers come sooner and takes processor time. "host": its KVM, as the host's kvm.halt_poll_ns says; "guest": the guest's kernel, by its driver haltpoll, without leaving the machine. Of no effect without KVM.`,
	})
	KVMHintDedicated = attr[bool](Attribute{
		Block: "kvm", Name: "hint_dedicated",
		Doc: `Tells the guest that each vCPU has a host's CPU to itself: its locks then spin, and it polls as with halt_poll = "guest". Harmful when the host's CPUs are shared. Of no effect without KVM.`,
	})
	KVMPMU = attr[bool](Attribute{
		Block: "kvm", Name: "pmu",
		Doc: `Whether the guest has the processor's performance counters, for tools such as perf. Of no effect without KVM.`,
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
		Block: "firmware", Name: "type", Rules: "oneof=seabios qboot efi",
		Variable: "RUNCVM_BIOS", Aliases: []string{"RUNCVM_FIRMWARE"},
		Doc: `What runs before the kernel. "qboot" starts sooner; "seabios" is the more complete one; "efi" (OVMF) makes the guest one that was started by EFI, and takes seconds more.`,
	})
	FirmwareDebug = attr[bool](Attribute{
		Block: "firmware", Name: "debug",
		Variable: "RUNCVM_BIOS_DEBUG",
		Doc:      `Whether what the firmware writes is in the container's supervisor.log: SeaBIOS's messages, EFI's console. Nobody sees it otherwise.`,
	})
	DisplayMode = attr[string](Attribute{
		Block: "display", Name: "mode", Rules: "oneof=headless serial vnc curses",
		Doc: `What shows the machine. "headless": nothing but the entrypoint's streams. "serial": the container's streams are the machine's serial port, with what the kernel says and the entrypoint at /dev/ttyS0. "vnc": a VNC server of QEMU's shows the machine's screen; the entrypoint has the container's streams. "curses": the container's terminal (docker run -t) shows the machine's screen, in text mode, with the entrypoint at /dev/tty1.`,
	})
	DisplayVGA = attr[string](Attribute{
		Block: "display", Name: "vga", Rules: "oneof=auto none virtio std cirrus",
		Variable: "RUNCVM_QEMU_VGA", Aliases: []string{"RUNCVM_DISPLAY_VGA"},
		Doc: `The graphics adapter, in QEMU's words. With one, the machine also has a keyboard, a tablet as its pointer, and a sound card that nobody hears. "auto" is "virtio" with a VNC server, "std" with display.mode = "curses", else "none".`,
	})
	DisplayVNC = attr[int](Attribute{
		Block: "display", Name: "vnc", Rules: "min=-1,max=59635",
		Variable: "RUNCVM_QEMU_VNC_DISPLAY", Aliases: []string{"RUNCVM_DISPLAY_VNC"},
		Doc: `The number of the VNC server's display: N listens on the TCP port 5900+N of the container, which docker run -p publishes and the guest cannot use. A number starts a server in every display.mode; -1 is 0 with "vnc", and none with the others.`,
	})
	DisplayPasswordFile = attr[string](Attribute{
		Block: "display", Name: "password_file", Rules: "max=4096",
		Doc: `The absolute path, on the host, of a file with the VNC server's password, at most 8 bytes that only the file's owner may read; "" for a server that asks for none.`,
	})
	RootfsType = attr[string](Attribute{
		Block: "rootfs", Name: "type", Rules: "oneof=virtiofs",
		Doc: `How the image's root reaches the guest: "virtiofs" shares the container's own files, so that "docker cp", "diff" and "commit" see what the guest has.`,
	})
	RootfsCache = attr[string](Attribute{
		Block: "rootfs", Name: "cache", Rules: "oneof=auto always none",
		Variable: VariableCache, Aliases: []string{"RUNCVM_ROOTFS_CACHE"},
		Doc: `What the guest keeps of the shared files. "always" keeps names and contents and asks about changes after a second; "auto" asks at each opening; "none" keeps nothing. Volumes have the same policy unless volumes.cache says otherwise.`,
	})
	RootfsReadOnly = attr[bool](Attribute{
		Block: "rootfs", Name: "read_only",
		Doc: `Whether nobody may write to the root, as with docker's --read-only, which has the same effect. Volumes and tmpfs mounts stay as they are.`,
	})
	RootfsSubmounts = attr[bool](Attribute{
		Block: "rootfs", Name: "submounts",
		Doc: `Whether the guest sees each file system of the host that the root or a volume leads into as one of its own, with a device number of its own. Without that, files of different file systems may have the same device and inode numbers, and programs that go by these (tar, rsync, "find -xdev") take them for one.`,
	})
	VolumesCache = attr[string](Attribute{
		Block: "volumes", Name: "cache", Rules: "oneof=rootfs auto always none",
		Doc: `What the guest keeps of the files in volumes, in the words of rootfs.cache. "rootfs" is the root's policy. Another one than the root's gives the volumes a virtiofs device and a virtiofsd of their own, of some 5 MiB: "auto" or "none" is for volumes that several machines write to.`,
	})
	VolumesSockets = attr[string](Attribute{
		Block: "volumes", Name: "sockets", Rules: "oneof=relay refuse",
		Doc: `What a unix socket of the host is that a volume names, as in "-v /var/run/docker.sock:/var/run/docker.sock". "relay" makes it a socket in the guest whose connections the supervisor carries to the host's; "refuse" is for hosts whose containers are not to reach the host's programs so, and makes such a volume an error.`,
	})
	DiskSource = attr[string](Attribute{
		Block: "disk", Label: AnyLabel, Name: "source", Rules: "required,startswith=/,max=4096",
		Doc: `The file that holds the disk, as an absolute path in the container: in a volume, where it outlives the container, or in the container's own root. It is made when it is not there. What is mounted at /disks or below it is not seen by the guest, so that it is a good place for volumes with disks.`,
	})
	DiskTarget = attr[string](Attribute{
		Block: "disk", Label: AnyLabel, Name: "target", Rules: "required,startswith=/,max=4096",
		Doc: `Where the guest mounts the disk, an absolute path. A new disk begins with what the image has there.`,
	})
	DiskFS = attr[string](Attribute{
		Block: "disk", Label: AnyLabel, Name: "fs", Rules: "oneof=ext2 ext3 ext4", Preset: "ext4",
		Doc: `The file system of the disk, which a new one is formatted with.`,
	})
	DiskSize = attr[units.Bytes](Attribute{
		Block: "disk", Label: AnyLabel, Name: "size", Rules: "min=1048576,max=17592186044416",
		Doc: `The size of a disk that has to be made: its file is sparse, and takes what is written to it. It is rounded up to a multiple of 4KiB. A disk that is there keeps its size; without this attribute it has to be there.`,
	})
	DiskCache = attr[string](Attribute{
		Block: "disk", Label: AnyLabel, Name: "cache", Rules: "oneof=writeback none writethrough directsync unsafe", Preset: "writeback",
		Doc: `How the host caches the disk's file, in QEMU's words. "writeback" keeps what the guest has flushed; "none" and "directsync" pass the host's page cache by, where the file system can; "unsafe" ignores the guest's flushes.`,
	})
	DiskAIO = attr[string](Attribute{
		Block: "disk", Label: AnyLabel, Name: "aio", Rules: "oneof=threads native", Preset: "threads",
		Doc: `How QEMU does the disk's I/O: with a pool of threads, or with Linux's native asynchronous I/O, which needs the cache "none" or "directsync".`,
	})
	DiskDiscard = attr[string](Attribute{
		Block: "disk", Label: AnyLabel, Name: "discard", Rules: "oneof=unmap ignore", Preset: "unmap",
		Doc: `What becomes of blocks that the guest discards, as fstrim(8) does: "unmap" gives them back to the host.`,
	})
	DiskQueues = attr[int](Attribute{
		Block: "disk", Label: AnyLabel, Name: "queues", Rules: "min=1,max=64",
		Doc: `The number of the disk's virtqueues; one for each vCPU when it is not set.`,
	})
	DiskIOThread = attr[bool](Attribute{
		Block: "disk", Label: AnyLabel, Name: "iothread", Preset: true,
		Doc: `Whether the disk's I/O has a thread of its own in QEMU; without one, QEMU's main loop does it, which other devices then wait for. A machine of the type "microvm" without KVM has no such threads.`,
	})
	NetworkMode = attr[string](Attribute{
		Block: "network", Name: "mode", Rules: "oneof=auto tc bridge none",
		Doc: `How the container's interfaces reach the machine, which has their addresses in either way. "tc" moves the frames by filters of the host's traffic control; "bridge" does so by a bridge in the container, for hosts without the modules of "tc"; "auto" is "tc" where that is usable, else "bridge", and the plan has the reason; "none" gives the machine the loopback only.`,
	})
	NetworkModel = attr[string](Attribute{
		Block: "network", Name: "model", Rules: "oneof=virtio vmxnet3 e1000e e1000 rtl8139",
		Doc: `The network devices of the machine. "virtio" is the fastest; the others are those of real or other virtual hardware, slower, for guests that know nothing else. The kernel must have the driver: Debian's cloud kernel has "virtio" and "vmxnet3", the generic one all of them.`,
	})
	NetworkMTU = attr[int](Attribute{
		Block: "network", Name: "mtu", Rules: "min=0,max=65535",
		Doc: `The largest packet of the machine's interfaces in bytes, at most that of the container's; 0 is that of the container's. At least 68, or 1280 for an interface with an IPv6 address.`,
	})
	NetworkVHost = attr[string](Attribute{
		Block: "network", Name: "vhost", Rules: "oneof=auto on off",
		Aliases: []string{VariableNetVHost},
		Doc:     `Whether the host's kernel moves the machine's frames (vhost-net) instead of QEMU. "on" fails where /dev/vhost-net is not usable; "auto" is "on" where it is usable, and the plan has the reason. Of virtio devices alone.`,
	})
	NetworkQueues = attr[int](Attribute{
		Block: "network", Name: "queues", Rules: "min=0,max=64",
		Doc: `Pairs of queues of each interface, which that many vCPUs can use at the same time. 0 is one for each vCPU, 8 at most. Only virtio devices have more than one.`,
	})
	NetworkPorts = attr[[]string](Attribute{
		Block: "network", Name: "ports", Rules: "max=32,dive,required,printascii,max=32",
		Doc: `Ports that stay with the container around the machine, for servers that run there, as "5900", "5900-5909/tcp" or "69/udp": packets to them do not reach the guest. The ports 61184 to 61439 always stay.`,
	})
	NetworkSlots = attr[int](Attribute{
		Block: "network", Name: "slots", Rules: "min=0,max=8",
		Doc: `How many networks can be connected to the running machine ("docker network connect"), each an interface more. A slot is a PCIe port, and takes a little of the boot's time.`,
	})
	NICModel = attr[string](Attribute{
		Block: "nic", Label: AnyLabel, Name: "model", Rules: "oneof=virtio vmxnet3 e1000e e1000 rtl8139",
		Doc: `network.model for the interface that the label names, such as "eth0". An interface that the container does not have when it starts is an error. The hardware address is always that of the container's interface: docker's --mac-address sets it.`,
	})
	NICMTU = attr[int](Attribute{
		Block: "nic", Label: AnyLabel, Name: "mtu", Rules: "min=0,max=65535",
		Doc: `network.mtu for the interface.`,
	})
	NICVHost = attr[string](Attribute{
		Block: "nic", Label: AnyLabel, Name: "vhost", Rules: "oneof=auto on off",
		Doc: `network.vhost for the interface.`,
	})
	NICQueues = attr[int](Attribute{
		Block: "nic", Label: AnyLabel, Name: "queues", Rules: "min=0,max=64",
		Doc: `network.queues for the interface.`,
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
	InitExitCode = attr[string](Attribute{
		Block: "init", Name: "exit_code", Rules: "oneof=auto on off",
		Doc: `Whether a program may leave the container's exit code in /.runcvm/exitcode, or end the machine with one by /opt/runcvm/sbin/qemu-exit, as images do that were made for a runtime without exit codes. "auto" is "on" where the image has the folder /.runcvm or /opt/runcvm, or its command or its entrypoint's script names one of them. Else the guest has no such files, and the exit code is the entrypoint's.`,
	})
	CgroupfsMode = attr[string](Attribute{
		Block: "cgroupfs", Name: "mode", Rules: "oneof=auto none systemd 1 cgroup1 2 cgroup2 hybrid mixed",
		Variable: "RUNCVM_CGROUPFS",
		Doc:      `What the guest mounts at /sys/fs/cgroup. "1" (or "cgroup1") is a hierarchy for each controller; "2" (or "cgroup2") the unified one; "hybrid" (or "mixed") both, the unified one at /sys/fs/cgroup/unified; "none" (or "systemd") nothing. "auto" is "none" for an entrypoint that is systemd, else "hybrid", as far as the kernel has it.`,
	})
	SecuritySysAdmin = attr[bool](Attribute{
		Block: "security", Name: "sys_admin",
		Variable: "RUNCVM_SYS_ADMIN",
		Doc:      `Whether the container around the machine, and virtiofsd in it, have CAP_SYS_ADMIN. With it the guest's root can set "trusted." extended attributes of the image's files and of volumes, which overlayfs on them needs; and what escapes from the machine has that capability, too.`,
	})
	AgentTransport = attr[string](Attribute{
		Block: "agent", Name: "transport", Rules: "oneof=auto vsock virtio-serial",
		Doc: `What carries the streams between the machine and the host. "vsock" goes through the host's kernel (vhost-vsock), past QEMU, and fails where /dev/vhost-vsock is not usable; "virtio-serial" goes through QEMU and needs nothing of the host; "auto" is "vsock" where that is usable, and the plan has the reason.`,
	})
	AgentBootTimeout = attr[time.Duration](Attribute{
		Block: "agent", Name: "boot_timeout", Rules: "min=1s,max=1h",
		Doc: `How long the guest may take until it is ready for the entrypoint, as a duration: "60s".`,
	})
	AgentStopTimeout = attr[time.Duration](Attribute{
		Block: "agent", Name: "stop_timeout", Rules: "min=1s,max=1h",
		Doc: `How long the guest may take to power off after its entrypoint has ended, as a duration: "60s".`,
	})
	DebugRuntime = attr[bool](Attribute{
		Block: "debug", Name: "runtime",
		Variable: "RUNCVM_RUNTIME_DEBUG",
		Doc:      `Whether create, start, exec, kill, update and delete say in a log of the host what they were called with and what they did. It is /run/runcvm/debug/<container's ID>.log, which only root can read; it stays when the container has gone.`,
	})
	DebugQEMU = attr[bool](Attribute{
		Block: "debug", Name: "qemu",
		Variable: "RUNCVM_QEMU_DEBUG",
		Doc:      `Whether the container's supervisor.log has QEMU's exit code or signal, and what the container's control group counts of memory that ran out.`,
	})
	DebugBreakpoints = attr[[]string](Attribute{
		Block: "debug", Name: "breakpoints", Rules: "dive,oneof=prenet postnet preqemu",
		Variable: "RUNCVM_BREAK",
		Doc:      `Where the boot holds until "runcvm debug" lets it go on: "prenet" before the container's network is joined with the machine, "postnet" after that, "preqemu" when all but QEMU is there. What holds counts as started for who started it, and can be stopped; agent.boot_timeout does not run meanwhile.`,
	})
)
