package engine

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// disksDir is where volumes that hold disks are mounted: the guest does not see
// what is mounted there or below.
const disksDir = "/disks"

// maxDisks bounds a machine's disks: each takes a PCI slot of q35's first bus. A
// microvm may have room for fewer: see checkMMIODevices.
const maxDisks = 16

// compileDisks decides where the profile's disks lie and mounts them in the
// guest. It follows compileMounts, which knows the volumes.
func (c *compiler) compileDisks() {
	names := c.profile.Labels("disk")
	if len(names) > maxDisks {
		c.diags.Errorf("Too many disks", "A machine has at most %d disks, and the profile declares %d.", maxDisks, len(names))
		return
	}
	for _, name := range names {
		if d, ok := c.disk(name); ok {
			c.plan.Disks = append(c.plan.Disks, d)
		}
	}
	c.checkDisksDiffer()
	c.mountDisks()
	c.warnUnusedDisksDir()
}

// disk compiles the disk of a name. It is false after a mistake.
func (c *compiler) disk(name string) (plan.Disk, bool) {
	before := len(c.diags)
	d := plan.Disk{
		Name:      name,
		FS:        schema.DiskFS.In(c.profile, name),
		SizeBytes: wholeBlocks(schema.DiskSize.In(c.profile, name)),
	}
	d.Source = c.diskPath(name, schema.DiskSource)
	d.Target = c.diskPath(name, schema.DiskTarget)
	if len(c.diags) > before {
		return d, false
	}
	if d.Target == "/" || slices.ContainsFunc(systemDirs, func(dir string) bool { return isBelow(d.Target, dir) }) {
		c.diags.Errorf("Impossible disk target", "The disk %q is to be mounted at %s, which is the guest's own. Choose another folder.%s", name, d.Target, c.blame(schema.DiskTarget.Attribute.In(name)))
	}
	cache, aio := schema.DiskCache.In(c.profile, name), schema.DiskAIO.In(c.profile, name)
	if aio == "native" && cache != "none" && cache != "directsync" {
		c.diags.Errorf("Impossible disk I/O", "The disk %q has aio = \"native\", which needs the cache \"none\" or \"directsync\", and its cache is %q.%s", name, cache, c.blame(schema.DiskAIO.Attribute.In(name)))
	}
	c.placeDisk(&d)
	return d, len(c.diags) == before
}

// diskBlock is what a disk's size is made a multiple of, in bytes: the largest
// sector of a disk, which is ext4's usual block too.
const diskBlock = 4096

// wholeBlocks rounds a size up: an expression such as size(bytes(host.memory) / 3)
// gives any number, and a file that ends within a sector is no disk.
func wholeBlocks(size units.Bytes) int64 {
	return (int64(size) + diskBlock - 1) / diskBlock * diskBlock
}

// systemDirs are where the guest's kernel has file systems of its own.
var systemDirs = []string{"/proc", "/sys", "/dev"}

// isBelow says whether p is the folder dir or lies in it.
func isBelow(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// diskPath returns an attribute of a disk that is a path, cleaned.
func (c *compiler) diskPath(name string, key schema.Key[string]) string {
	value := key.In(c.profile, name)
	if value == "" {
		c.diags.Errorf("Incomplete disk", "The disk %q has no %s. A disk has a source and a target, as in source = \"/disks/%s\" and target = \"/var/lib/%s\".", name, key.Name, name, name)
		return ""
	}
	if slices.Contains(strings.Split(value, "/"), "..") || strings.Contains(value, "\x00") {
		c.diags.Errorf("Impossible disk path", "The %s of the disk %q is %q; it is an absolute path without \"..\".%s", key.Name, name, value, c.blame(key.Attribute.In(name)))
	}
	return path.Clean(value)
}

// placeDisk finds the volume that the disk's source lies in, else the image's
// root.
func (c *compiler) placeDisk(d *plan.Disk) {
	blame := c.blame(schema.DiskSource.Attribute.In(d.Name))
	d.Root, d.Path = plan.RootMount, d.Source
	var holder *specs.Mount
	longest, index := "", 0
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		destination := path.Clean("/" + m.Destination)
		kernels := isKernelType(*m)
		if isBelow(d.Source, destination) && len(destination) >= len(longest) {
			holder, longest = m, destination
			if !kernels {
				d.Root, d.Path = path.Join(plan.VolumesMount, strconv.Itoa(index)), strings.TrimPrefix(d.Source, destination)
				if d.Path == "" { // the volume is the file
					d.Root, d.Path = plan.VolumesMount, "/"+strconv.Itoa(index)
				}
			}
		}
		if !kernels {
			index++
		}
	}
	switch {
	case d.Source == "/":
		c.diags.Errorf("Impossible disk source", "The source of the disk %q is /, which is a folder. It is the file that holds the disk, as in source = \"/disks/%s\".%s", d.Name, d.Name, blame)
	case d.Root == plan.RootMount && isBelow(d.Source, d.Target):
		// A new disk is filled with what the image has at its target: itself.
		c.diags.Errorf("Disk within itself", "The source of the disk %q, %s, lies in its target, %s: the disk would be filled with itself, and hide its own file. Choose another place, such as source = \"/disks/%s\".%s", d.Name, d.Source, d.Target, d.Name, blame)
	case holder != nil && isKernelType(*holder):
		c.diags.Errorf("Impossible disk source", "The source of the disk %q, %s, lies in the %s at %s, which the guest's kernel makes: there is no file on the host. Choose a place in a volume or in the image.%s", d.Name, d.Source, holder.Type, longest, blame)
	case holder != nil && slices.Contains(holder.Options, "ro"):
		c.diags.Errorf("Read-only disk source", "The source of the disk %q, %s, lies in the volume at %s, which is read-only. Mount that volume writable.%s", d.Name, d.Source, longest, blame)
	case holder == nil && c.plan.Rootfs.ReadOnly:
		c.diags.Errorf("Read-only disk source", "The source of the disk %q, %s, lies in the container's root, which is read-only. Mount a volume at %s and put the disk into it.%s", d.Name, d.Source, disksDir, blame)
	}
}

// checkDisksDiffer reports disks that share a file or a place.
func (c *compiler) checkDisksDiffer() {
	for i, d := range c.plan.Disks {
		for _, other := range c.plan.Disks[:i] {
			if d.Source == other.Source {
				c.diags.Errorf("Disk twice", "The disks %q and %q have the same source, %s: a file is one disk.%s", other.Name, d.Name, d.Source, c.blame(schema.DiskSource.Attribute.In(d.Name)))
			}
			if d.Target == other.Target {
				c.diags.Errorf("Disk target twice", "The disks %q and %q have the same target, %s: one would hide the other.%s", other.Name, d.Name, d.Target, c.blame(schema.DiskTarget.Attribute.In(d.Name)))
			}
		}
		for _, m := range c.plan.Guest.Mounts {
			if m.Destination == d.Target {
				c.diags.Errorf("Disk target twice", "The disk %q is to be mounted at %s, where the container has a volume or another mount already. Choose one of them.%s", d.Name, d.Target, c.blame(schema.DiskTarget.Attribute.In(d.Name)))
			}
		}
	}
}

// mountDisks puts each disk before the mounts that lie in it.
func (c *compiler) mountDisks() {
	disks := slices.Clone(c.plan.Disks)
	slices.SortStableFunc(disks, func(a, b plan.Disk) int { return strings.Compare(a.Target, b.Target) })
	for _, d := range disks {
		mount := plan.GuestMount{Type: d.FS, Source: diskSource + d.Name, Destination: d.Target}
		at := slices.IndexFunc(c.plan.Guest.Mounts, func(m plan.GuestMount) bool { return isBelow(m.Destination, d.Target) })
		if at < 0 {
			at = len(c.plan.Guest.Mounts)
		}
		c.plan.Guest.Mounts = slices.Insert(c.plan.Guest.Mounts, at, mount)
	}
}

// diskSource begins the source of a guest's mount of a disk, as guest/api has
// it.
const diskSource = "disk:"

// warnUnusedDisksDir tells that volumes at /disks are not in the guest when no
// disk is in them either.
func (c *compiler) warnUnusedDisksDir() {
	for _, m := range c.spec.Mounts {
		destination := path.Clean("/" + m.Destination)
		if !isBelow(destination, disksDir) || isKernelType(m) {
			continue
		}
		used := slices.ContainsFunc(c.plan.Disks, func(d plan.Disk) bool { return isBelow(d.Source, destination) })
		if !used {
			c.warn("Volume for disks without a disk", "The volume at %s is for disks and is not mounted in the guest, and no disk of the profile lies in it. Mount it elsewhere, or declare a disk with a source in it.", destination)
		}
	}
}

// diskArguments adds the disks to QEMU's arguments.
func (c *compiler) diskArguments(q *qemu.CommandLine) {
	for i, d := range c.plan.Disks {
		queues := schema.DiskQueues.In(c.profile, d.Name)
		if queues == 0 {
			queues = max(1, c.profile.Most(schema.DiskQueues.Attribute, min(c.plan.Machine.CPUs, 16)))
		}
		q.Disk(qemu.Disk{
			Bus:  qemu.Bus(c.plan.Machine.Bus),
			Name: d.Name, FD: plan.FDFirstDisk + i, Set: i,
			AIO:      schema.DiskAIO.In(c.profile, d.Name),
			Cache:    schema.DiskCache.In(c.profile, d.Name),
			Discard:  schema.DiskDiscard.In(c.profile, d.Name),
			Queues:   queues,
			IOThread: schema.DiskIOThread.In(c.profile, d.Name) && c.hasIOThreads(),
		})
	}
}

// hasIOThreads says whether a thread other than QEMU's main one can do a
// device's I/O. On virtio-mmio, only KVM lets it hear of the guest's requests.
func (c *compiler) hasIOThreads() bool {
	return c.plan.Machine.Bus == busPCI || c.plan.Machine.Accel == "kvm"
}
