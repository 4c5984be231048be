package rootfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// cgroupDir is where control groups are mounted, and unifiedDir where the
// unified hierarchy is beside those of version 1.
const (
	cgroupDir  = "/sys/fs/cgroup"
	unifiedDir = cgroupDir + "/unified"
)

// cgroupFlags are those that every system mounts control groups with.
const cgroupFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME

// mountCgroups mounts the control groups of the guest's kernel.
func (t tree) mountCgroups(c api.Cgroupfs) error {
	kernel, err := readCgroupKernel()
	if err != nil {
		return err
	}
	mode, err := kernel.choose(c)
	if err != nil {
		return err
	}
	switch mode {
	case "":
		return nil
	case api.CgroupV2:
		return t.mountCgroup(cgroupDir, "cgroup2", "", c.ReadOnly)
	}
	err = t.mountV1(kernel.controllers)
	if errors.Is(err, errNoV1) && c.Optional {
		return t.mountCgroup(cgroupDir, "cgroup2", "", c.ReadOnly)
	}
	if err != nil {
		return err
	}
	if mode == api.CgroupHybrid {
		if err := t.mountCgroup(unifiedDir, "cgroup2", "", false); err != nil {
			return err
		}
	}
	if !c.ReadOnly {
		return nil
	}
	return t.at(cgroupDir, func(path string) error {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		return unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, &attr)
	})
}

// mountV1 mounts a hierarchy for each controller, as far as the kernel lets: one
// that is disabled for version 1 alone shows only when it is mounted.
func (t tree) mountV1(controllers []string) error {
	p, err := t.ensure(cgroupDir, true)
	if err != nil {
		return err
	}
	err = unix.Mount("cgroup", p.path(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755")
	p.close()
	if err != nil {
		return fmt.Errorf("mount %s: %w", cgroupDir, err)
	}
	var refused error
	mounted := 0
	for _, name := range controllers {
		err := t.mountCgroup(cgroupDir+"/"+name, "cgroup", name, false)
		switch {
		case err == nil:
			mounted++
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EBUSY):
			refused = err
			if err := t.removeEmpty(cgroupDir, name); err != nil {
				return err
			}
		default:
			return err
		}
	}
	if mounted > 0 {
		return nil
	}
	if err := t.at(cgroupDir, func(path string) error { return unix.Unmount(path, unix.MNT_DETACH) }); err != nil {
		return err
	}
	return fmt.Errorf("%w (%s): %w; boot it without cgroup_no_v1, or set cgroupfs.mode to \"2\"",
		errNoV1, strings.Join(controllers, ", "), refused)
}

// errNoV1 says that the kernel has version 1, but not to be used.
var errNoV1 = errors.New("the guest's kernel refuses every controller of version 1 of control groups")

func (t tree) mountCgroup(destination, fstype, data string, readOnly bool) error {
	p, err := t.ensure(destination, true)
	if err != nil {
		return err
	}
	defer p.close()
	flags := uintptr(cgroupFlags)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount(fstype, p.path(), fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", destination, err)
	}
	return nil
}

// removeEmpty removes an empty directory.
func (t tree) removeEmpty(dir, name string) error {
	return t.at(dir, func(path string) error { return os.Remove(path + "/" + name) })
}

// cgroupKernel is what the running kernel has of control groups.
type cgroupKernel struct {
	v1, v2      bool
	controllers []string // that are enabled, in the kernel's order
}

func readCgroupKernel() (cgroupKernel, error) {
	var k cgroupKernel
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return k, err
	}
	fields := strings.Fields(string(filesystems))
	k.v1, k.v2 = slices.Contains(fields, "cgroup"), slices.Contains(fields, "cgroup2")
	list, err := os.ReadFile("/proc/cgroups")
	if err != nil && !os.IsNotExist(err) {
		return k, err
	}
	k.controllers = enabledControllers(string(list))
	return k, nil
}

// enabledControllers reads /proc/cgroups: the columns are the name, the
// hierarchy, the number of groups and whether it is enabled.
func enabledControllers(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) == 4 && !strings.HasPrefix(line, "#") && f[3] == "1" {
			names = append(names, f[0])
		}
	}
	return names
}

// choose returns the mode to mount, "" for none, or says what the kernel lacks.
func (k cgroupKernel) choose(c api.Cgroupfs) (string, error) {
	v1 := k.v1 && len(k.controllers) > 0
	if c.Optional {
		switch {
		case v1 && k.v2:
			return c.Mode, nil
		case k.v2:
			return api.CgroupV2, nil
		case v1:
			return api.CgroupV1, nil
		}
		return "", nil
	}
	if (c.Mode == api.CgroupV2 || v1) && (c.Mode == api.CgroupV1 || k.v2) {
		return c.Mode, nil
	}
	return "", fmt.Errorf("cgroupfs.mode is %q, which the guest's kernel lacks; it has %s", c.Mode, k)
}

// String lists what there is.
func (k cgroupKernel) String() string {
	var has []string
	if k.v1 {
		has = append(has, "version 1 (\"1\")")
	}
	if k.v2 {
		has = append(has, "version 2 (\"2\")")
	}
	versions := strings.Join(has, " and ")
	if versions == "" {
		versions = "no control groups (\"none\")"
	}
	if len(k.controllers) == 0 {
		return versions + ", without controllers"
	}
	return versions + ", with the controllers " + strings.Join(k.controllers, ", ")
}
