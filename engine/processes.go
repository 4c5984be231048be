package engine

import (
	"slices"
	"strconv"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

// compileProcesses writes the command lines of the supervisor's children.
func (c *compiler) compileProcesses() {
	r := c.plan.Rootfs
	c.plan.Processes = map[string]plan.Process{
		plan.ProcessQEMU:      {Argv: append([]string{plan.QEMUPath}, c.qemuArguments()...)},
		plan.ProcessVirtiofsd: c.virtiofsd(plan.ShareMount, r.Cache),
	}
	if r.VolumesCache != "" {
		c.plan.Processes[plan.ProcessVolumes] = c.virtiofsd(plan.VolumesMount, r.VolumesCache)
	}
}

// virtiofsd serves the directory dir. The library makes it tell hard links of an
// image's layer apart.
func (c *compiler) virtiofsd(dir, cache string) plan.Process {
	return plan.Process{
		Argv: append([]string{c.facts.Tools.VirtiofsdPath}, c.virtiofsdArguments(dir, cache)...),
		Env:  []string{"LD_PRELOAD=" + plan.HardlinksPath},
	}
}

// The shares' names in the guest, as guest/api has them; the engine does not
// import the guest's packages.
const (
	shareTag   = "runcvm"
	volumesTag = "runcvm-volumes"
)

// qemuArguments describes the machine to QEMU. Interfaces are added by the
// supervisor, see qemu.NIC, as is a vsock device, see qemu.AgentVsock.
func (c *compiler) qemuArguments() []string {
	m, k := c.plan.Machine, c.plan.Kernel
	var q qemu.CommandLine
	q.Flag("nodefaults")
	q.Flag("no-user-config")
	q.Flag("no-reboot")
	q.Value("display", c.frontend())
	// ps -L and top -H tell vCPUs and I/O threads apart.
	q.Properties("name", "", qemu.Property{Name: "debug-threads", Value: "on"})
	q.Properties("machine", m.Type, c.machineProperties()...)
	c.addAccelerator(&q)
	if m.Bus == busMMIO {
		// virtiofs and vsock have no legacy form, which is QEMU's own choice.
		q.Properties("global", "", qemu.Property{Name: "virtio-mmio.force-legacy", Value: "off"})
	}
	model, properties := c.cpuModel()
	q.Properties("cpu", model, properties...)
	smp, sockets := []qemu.Property{qemu.Number("cpus", m.CPUs)}, 1
	switch {
	case m.MaxCPUs > 0:
		smp = append(smp, qemu.Number("maxcpus", m.MaxCPUs))
	case c.emptySocket():
		smp, sockets = append(smp, qemu.Number("maxcpus", m.CPUs+1)), 2
	}
	q.Properties("smp", "", append(smp, qemu.Number("sockets", sockets), qemu.Number("cores", m.MostCPUs()), qemu.Number("threads", 1))...)
	c.addMemory(&q)
	c.addFirmware(&q)
	q.Value("kernel", k.Image)
	q.Value("initrd", k.Initramfs)
	q.Value("append", k.CommandLine)

	q.Socket("qmp", plan.FDQMP)
	q.Properties("mon", "", qemu.Property{Name: "chardev", Value: "qmp"}, qemu.Property{Name: "mode", Value: "control"})
	q.Socket("console", plan.FDConsole)
	c.addConsole(&q)
	c.vfioArguments(&q) // first, since their places are fixed
	bus := qemu.Bus(m.Bus)
	if c.plan.Agent.Transport == plan.TransportSerial {
		q.Append(qemu.AgentPort(bus, plan.FDAgent))
	}
	q.Socket("share", plan.FDShare)
	q.Device(qemu.VhostUserFS{Bus: bus, ID: "sharefs", Chardev: "share", Tag: shareTag, QueueSize: 1024})
	if c.plan.Rootfs.VolumesCache != "" {
		q.Socket("volumes", plan.FDVolumes)
		q.Device(qemu.VhostUserFS{Bus: bus, ID: "volumesfs", Chardev: "volumes", Tag: volumesTag, QueueSize: 1024})
	}
	c.diskArguments(&q)
	c.blockDeviceArguments(&q)
	noPorts := 0 // no interface that comes later needs one
	for i := range c.plan.Network.Slots {
		q.Device(qemu.PCIeRootPort{ID: qemu.Slot(i), Bus: "pcie.0", Chassis: i + 1, IOReserve: &noPorts})
	}
	c.displayDevices(&q)
	c.addMemoryDevices(&q)
	return q.Args()
}

// emptySocket says that the machine has a socket that no vCPU comes to. In
// translation QEMU leaves out the barriers of a guest that can only have one vCPU.
// Yet others read the guest's rings at the same time: virtiofsd, vhost-net, the
// threads of disks. A guest that has just asked to be interrupted could look for
// what is done before they saw that it asks, and would then wait for ever.
func (c *compiler) emptySocket() bool {
	return c.plan.Machine.Accel == "tcg" && c.plan.Machine.MostCPUs() == 1
}

func (c *compiler) machineProperties() []qemu.Property {
	properties := append([]qemu.Property{{Name: "memory-backend", Value: "ram"}}, c.firmwareProperties()...)
	if c.plan.Machine.Type == plan.MachineMicroVM {
		return append(properties, c.microVMProperties()...)
	}
	properties = append(properties, []qemu.Property{
		// None of these is used, and the guest would look for each of them. Not
		// graphics=off: SeaBIOS then writes to the console.
		{Name: "vmport", Value: "off"},
		{Name: "smbus", Value: "off"},
		{Name: "sata", Value: "off"},
		{Name: "i8042", Value: "off"},
		{Name: "usb", Value: "off"}, // the controller is a device, see displayDevices
	}...)
	if c.plan.Display.VGA != noVGA {
		// The keyboard of who looks at the screen: every kernel drives it.
		properties = slices.DeleteFunc(properties, func(p qemu.Property) bool { return p.Name == "i8042" })
	}
	return properties
}

// addConsole writes the kernel's console.
func (c *compiler) addConsole(q *qemu.CommandLine) {
	if port := c.consolePort(); port > 0 {
		q.Device(qemu.ISASerial{ID: "console-port", Chardev: "console", Index: port})
		return
	}
	q.Value("serial", "chardev:console")
}

// virtiofsdArguments serves the directory dir on an inherited socket. Both
// programs chroot into it: they are in a container already, where the other
// sandbox, a mount namespace, is not to be had. Their pool of threads stays
// off, as it is by default: it does not pay for one guest.
func (c *compiler) virtiofsdArguments(dir, cache string) []string {
	socket := "--fd=" + strconv.Itoa(plan.FDVhostUserListen)
	// The container's limit is as high as it may be.
	const keepLimit = "--rlimit-nofile=0"
	sysAdmin := schema.SecuritySysAdmin.Of(c.profile)
	if c.facts.Tools.VirtiofsdKind == "rust" {
		args := []string{
			socket, keepLimit,
			"--shared-dir=" + dir,
			"--sandbox=chroot",
			"--cache=" + rustCache(cache),
			"--xattr",
			"--inode-file-handles=prefer",
		}
		if c.plan.Rootfs.Submounts {
			args = append(args, "--announce-submounts")
		}
		if sysAdmin {
			args = append(args, "--modcaps=+sys_admin")
		}
		return args
	}
	args := []string{
		socket, keepLimit, "-f",
		"-o", "source=" + dir,
		"-o", "sandbox=chroot",
		"-o", "cache=" + cache,
		"-o", "xattr",
	}
	if c.plan.Rootfs.Submounts {
		args = append(args, "-o", "announce_submounts")
	}
	if sysAdmin {
		args = append(args, "-o", "modcaps=+sys_admin")
	}
	if cache == "always" {
		// Names and attributes live a second instead of a day, so that changes by
		// the host are seen; the contents are kept while the attributes agree.
		args = append(args, "-o", "timeout=1")
	}
	return args
}

// rustCache is a cache policy in the words of the Rust virtiofsd.
func rustCache(cache string) string {
	if cache == "none" {
		return "never"
	}
	return cache
}
