package engine

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// compileRootfs decides how the image's root reaches the guest.
func (c *compiler) compileRootfs() {
	c.plan.Rootfs = plan.Rootfs{
		Type:     schema.RootfsType.Of(c.profile),
		Cache:    schema.RootfsCache.Of(c.profile),
		HostPath: c.facts.Bundle.RootPath,
		ReadOnly: c.spec.Root != nil && c.spec.Root.Readonly || schema.RootfsReadOnly.Of(c.profile),

		Submounts: schema.RootfsSubmounts.Of(c.profile),
	}
	if cache := schema.VolumesCache.Of(c.profile); cache != "rootfs" && cache != c.plan.Rootfs.Cache {
		c.plan.Rootfs.VolumesCache = cache
	}
}

// kernelTypes are file systems of the guest's kernel: what they show is the
// guest's. "cgroup" becomes the guest's cgroup2.
var kernelTypes = []string{
	"proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "cgroup", "cgroup2", "securityfs",
	"debugfs", "tracefs", "bpf", "binfmt_misc", "hugetlbfs", "fusectl", "configfs", "pstore", "efivarfs",
}

// systemPaths are where the container needs its own kernel file systems for the
// supervisor.
var systemPaths = []string{"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"}

// procFiles are the files in /proc that may be mounted over, as runc has them
// (validProcMounts): tools that show a container its own limits do.
var procFiles = []string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/net/dev", "/proc/slabinfo",
	"/proc/stat", "/proc/swaps", "/proc/sys/crypto/fips_enabled", "/proc/sys/kernel/ns_last_pid", "/proc/uptime",
}

// checkProc refuses what would hide a part of /proc from the application.
func (c *compiler) checkProc(destination string) {
	if destination != "/proc" && isBelow(destination, "/proc") && !slices.Contains(procFiles, destination) {
		c.diags.Errorf("Mount inside /proc", "The mount at %s cannot be made, since it is inside /proc. Mount it elsewhere; in /proc there may only be mounts over %s.",
			destination, strings.Join(procFiles, ", "))
	}
}

// compileMounts sends each mount of the spec where it belongs: kernel file
// systems to the guest (and those that the supervisor needs to the container as
// well), everything else to the shared directory, from where the guest binds
// it.
func (c *compiler) compileMounts() {
	var container, shared []specs.Mount
	guest := []plan.GuestMount{}
	for _, m := range c.spec.Mounts {
		destination := path.Clean("/" + m.Destination)
		c.checkProc(destination)
		if isKernelType(m) {
			if destination == cgroupDir {
				// The guest's own is cgroupfs.mode's.
				container = append(container, m)
				continue
			}
			if len(m.UIDMappings) > 0 || len(m.GIDMappings) > 0 {
				c.warn("Owners not mapped", "The mount at %s is made by the guest's kernel, without the mapping of owners that config.json asks for.", destination)
			}
			guest = append(guest, c.guestKernelMount(m, destination))
			if slices.Contains(systemPaths, destination) {
				container = append(container, m)
			}
			continue
		}
		if destination == cgroupDir && strings.HasPrefix(path.Clean(m.Source)+"/", cgroupDir+"/") {
			// As images of systemd for containers are often run.
			c.warn("Control groups of the host not shared", "The mount of the host's %s at %s is left out: the guest's kernel has control groups of its own, which cgroupfs.mode mounts.", m.Source, destination)
			continue
		}
		name := strconv.Itoa(len(shared))
		if !isBelow(destination, disksDir) {
			guest = append(guest, plan.GuestMount{
				Type: c.volumeType(m, name, destination), Source: name, Destination: destination, Options: c.bindOptions(m.Options, destination),
			})
		}
		m.Destination = path.Join(plan.VolumesMount, name)
		shared = append(shared, m)
	}
	container = c.addSystemMounts(container)
	container = append(c.sizeShm(container), c.toolMounts()...)
	if source, destination := c.compileModules(); source != "" {
		container = append(container, specs.Mount{
			Destination: path.Join(plan.VolumesMount, plan.ModulesVolume), Type: "bind", Source: source,
			Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev"},
		})
		// The first, so that a volume of the container's own wins.
		guest = slices.Insert(guest, 0, plan.GuestMount{
			Type: typeVolume, Source: plan.ModulesVolume, Destination: destination, Options: []string{"bind", "ro", "nosuid", "nodev"},
		})
	}
	c.plan.OCI.Mounts = append(container, shared...)
	c.plan.Guest.Mounts = append(guest, c.exitMounts()...)
}

// Types of the guest's mounts of host files, as guest/api has them.
const (
	typeVolume = "volume"
	typeSocket = "socket"
)

// volumeType says how the source of a mount is seen in the guest: a unix socket
// as one that is relayed.
func (c *compiler) volumeType(m specs.Mount, name, destination string) string {
	if slices.Contains(c.facts.Bundle.SocketFolders, m.Source) {
		c.warn("Sockets in a volume", "The folder %s, which is mounted at %s, has unix sockets of the host in it. The guest sees them and cannot connect to them: make the socket itself a volume, as in docker run --volume %s:%s.",
			m.Source, destination, path.Join(m.Source, "NAME"), path.Join(destination, "NAME"))
	}
	i := slices.IndexFunc(c.facts.Bundle.Sockets, func(s plan.HostSocket) bool { return s.Path == m.Source })
	if i < 0 {
		return typeVolume
	}
	if schema.VolumesSockets.Of(c.profile) == socketsRefused {
		c.diags.Errorf("Socket of the host refused",
			"The mount at %s is the host's unix socket %s, and volumes.sockets is %q: the container may not connect to the host's programs. Leave that mount out, or let the host's profile say \"relay\".%s",
			destination, m.Source, socketsRefused, c.blame(schema.VolumesSockets.Attribute))
	}
	c.plan.Sockets = append(c.plan.Sockets, plan.Socket{
		Volume: name, HostPath: m.Source, Type: c.facts.Bundle.Sockets[i].Type, Target: destination,
	})
	return typeSocket
}

// socketsRefused is the value of volumes.sockets that allows none.
const socketsRefused = "refuse"

// bindOptions are the options of a bind mount without those that are a file
// system's, which the kernel does not look at (mount(2)).
func (c *compiler) bindOptions(options []string, destination string) []string {
	var bind, other []string
	for _, o := range options {
		if strings.Contains(o, "=") {
			other = append(other, o)
		} else {
			bind = append(bind, o)
		}
	}
	if len(other) > 0 {
		c.warn("Mount options without effect", "The mount at %s is one of the host's files, and %s would be for a file system of its own.", destination, strings.Join(other, ", "))
	}
	return bind
}

// isKernelType tells a file system of the guest's kernel from host files.
func isKernelType(m specs.Mount) bool {
	return slices.Contains(kernelTypes, m.Type) && !slices.Contains(m.Options, "bind") && !slices.Contains(m.Options, "rbind")
}

func (c *compiler) guestKernelMount(m specs.Mount, destination string) plan.GuestMount {
	g := plan.GuestMount{Type: m.Type, Source: m.Source, Destination: destination, Options: slices.Clone(m.Options)}
	if g.Type == "cgroup" {
		g.Type, g.Source = "cgroup2", "cgroup2"
	}
	machine := c.plan.Init.Mode == plan.InitExec
	switch destination {
	case "/dev":
		// With the machine's own devices: a screen, keyboard and pointer are of use
		// to programs alone.
		if m.Type == "tmpfs" && (machine || c.plan.Display.VGA != noVGA || c.plan.Display.Console != "" || c.plan.Machine.USB) {
			g.Type, g.Source, g.Options = "devtmpfs", "devtmpfs", []string{"nosuid", "strictatime"}
		}
	case "/proc", "/sys":
		if !machine {
			break
		}
		g.Options = slices.DeleteFunc(g.Options, func(o string) bool { return o == "ro" })
	}
	return g
}

// addSystemMounts adds what the supervisor cannot do without and a hand-written
// bundle may lack.
func (c *compiler) addSystemMounts(container []specs.Mount) []specs.Mount {
	var missing []specs.Mount
	for _, m := range []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	} {
		if !slices.ContainsFunc(container, func(have specs.Mount) bool { return path.Clean("/"+have.Destination) == m.Destination }) {
			missing = append(missing, m)
		}
	}
	return append(missing, container...)
}

// toolMounts are those of our own in the container.
func (c *compiler) toolMounts() []specs.Mount {
	root := specs.Mount{
		Destination: plan.RootMount, Type: "bind", Source: c.facts.Bundle.RootPath,
		Options: []string{"rbind", "rprivate"},
	}
	if c.plan.Rootfs.ReadOnly {
		root.Options = append(root.Options, "ro")
	}
	mounts := []specs.Mount{
		root,
		{
			// It holds mount points alone, as many as there are volumes.
			Destination: plan.VolumesMount, Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "nodev", "mode=0755", "size=4m"},
		},
		{
			Destination: plan.KernelMount, Type: "bind", Source: c.plan.Kernel.HostDir,
			Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev"},
		},
		{
			Destination: plan.StateMount, Type: "bind", Source: c.facts.Bundle.StateDir,
			Options: []string{"bind", "rprivate", "nosuid", "nodev"},
		},
		{
			// The C virtiofsd locks a file in /var/run/virtiofsd.
			Destination: virtiofsdRun, Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "nodev", "noexec", "mode=0700", "size=1m"},
		},
	}
	if upper := c.facts.Bundle.UpperDir; upper != "" {
		mounts = append(mounts, specs.Mount{
			Destination: plan.UpperMount, Type: "bind", Source: upper,
			Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev", "noexec"},
		})
	}
	return mounts
}

// virtiofsdRun is /var/run/virtiofsd in the tool root, whose /var/run is /run.
const virtiofsdRun = "/run/virtiofsd"
