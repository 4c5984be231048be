package engine

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// capabilities are what the supervisor and its children use: taps and tc
// (NET_ADMIN), file access in the name of the guest's users by virtiofsd (the
// file and identity ones, MKNOD, SETFCAP; SYS_CHROOT for its sandbox, SETPCAP to
// give up the others), KILL for the children. Not SYS_ADMIN, which trusted
// attributes would need. runc refuses a container with one that the host itself
// lacks, so that none is listed just in case.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
	"CAP_SETUID", "CAP_SYS_CHROOT",
}

// Limits of open files. The C virtiofsd holds one for each inode that the guest
// has in its cache.
const (
	openFiles    = 1 << 20 // the kernel's default of fs.nr_open
	fewOpenFiles = 1 << 16
)

// compileContainer describes the container that holds the machine.
func (c *compiler) compileContainer() {
	o := &c.plan.OCI
	o.RootPath = c.facts.Tools.Root
	o.Args = []string{plan.SupervisorPath, "supervise"}
	o.Capabilities = slices.Clone(capabilities)
	if schema.SecuritySysAdmin.Of(c.profile) {
		o.Capabilities = append(o.Capabilities, "CAP_SYS_ADMIN")
	}
	if c.plan.Network.Mode == plan.ModeBridge { // for its packet sockets
		o.Capabilities = append(o.Capabilities, "CAP_NET_RAW")
	}
	slices.Sort(o.Capabilities)
	o.LockMemory = len(c.plan.Machine.VFIO) > 0
	o.NoFile = min(openFiles, c.facts.Host.MaxOpenFiles)
	if n := c.facts.Host.MaxOpenFiles; n > 0 && c.facts.Tools.VirtiofsdKind == "c" {
		// The rest is for what a guest comes to know before it has forgotten others: a
		// folder's listing brings thousands at once.
		c.plan.Guest.KnownFiles = o.NoFile / 2
		if n < fewOpenFiles {
			c.warn("Few open files", "The container engine's limit of open files is %d, and the C virtiofsd needs one for each file that the guest has in use or in memory: a guest that uses more at once fails with \"too many open files\", and one that knows more asks for them again. Raise LimitNOFILE of the engine's service.", n)
		}
	}
}

// Host devices that the processes around the machine open.
var (
	tun      = device{"/dev/net/tun", 10, 200}
	kvm      = device{"/dev/kvm", 10, 232}
	vhostNet = device{"/dev/vhost-net", 10, 238}
)

// device is a character device.
type device struct {
	path         string
	major, minor int64
}

// pseudoDevices are drivers of any Linux kernel, by major and minor number:
// they mean the same in the guest. Those that the runtime specification gives
// every container are true: the guest makes them anyway.
var pseudoDevices = map[[2]int64]bool{
	{1, 3}: true, {1, 5}: true, {1, 7}: true, {1, 8}: true, {1, 9}: true,
	{5, 0}: true, {5, 1}: true, {5, 2}: true,
	{1, 11}:   false, // kmsg
	{10, 200}: false, // net/tun
	{10, 229}: false, // fuse
	{10, 237}: false, // loop-control
}

// defaultDevices are the paths of the specification's default devices.
var defaultDevices = []string{
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx",
}

// compileDevices gives the container the devices of the machine's processes and
// the guest those of the spec that are its kernel's own.
func (c *compiler) compileDevices() {
	needed := []device{}
	if c.plan.Network.Mode != plan.ModeNone {
		needed = append(needed, tun)
	}
	if c.plan.Machine.Accel == "kvm" {
		needed = append(needed, kvm)
	}
	if c.plan.Network.AnyVHost() {
		needed = append(needed, vhostNet)
	}
	o := &c.plan.OCI
	o.Devices = []specs.LinuxDevice{}
	o.DeviceRules = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	c.giveDevices(needed)
	c.compileHostDevices()
	c.giveDevices(c.vfioNodes())
	c.checkMMIODevices()
	c.checkRootBus()
}

// giveDevices lets the machine's processes use devices of the host.
func (c *compiler) giveDevices(devices []device) {
	o := &c.plan.OCI
	for _, d := range devices {
		mode, root := defaultDeviceMode, uint32(0)
		major, minor := d.major, d.minor
		o.Devices = append(o.Devices, specs.LinuxDevice{
			Path: d.path, Type: "c", Major: d.major, Minor: d.minor, FileMode: &mode, UID: &root, GID: &root,
		})
		o.DeviceRules = append(o.DeviceRules, specs.LinuxDeviceCgroup{
			Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rw",
		})
	}
}
