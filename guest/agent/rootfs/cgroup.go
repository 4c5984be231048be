package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// cgroupDir is where control groups are mounted, and unifiedName the unified
// hierarchy's folder there beside those of version 1.
const (
	cgroupDir   = "/sys/fs/cgroup"
	unifiedName = "unified"
)

// cgroupFlags are those that every system mounts control groups with.
const cgroupFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME

// prepareCgroups mounts the control groups at a directory outside of the root,
// while that is being put together: a mount of version 1 makes the kernel wait.
// The result says whether there is something to move to its place.
func prepareCgroups(c *api.Cgroupfs, dir string) <-chan preparedCgroups {
	done := make(chan preparedCgroups, 1)
	if c == nil {
		done <- preparedCgroups{}
		return done
	}
	go func() {
		mounted, err := mountCgroups(*c, dir)
		if mounted && err == nil && c.ReadOnly {
			// The mounts alone: read-only as file systems, they could be nowhere else.
			attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
			err = unix.MountSetattr(unix.AT_FDCWD, dir, unix.AT_RECURSIVE, &attr)
		}
		done <- preparedCgroups{mounted, err}
	}()
	return done
}

type preparedCgroups struct {
	mounted bool
	err     error
}

// placeCgroups moves what has been prepared at dir.
func (t tree) placeCgroups(prepared preparedCgroups, dir string) error {
	if prepared.err != nil || !prepared.mounted {
		return prepared.err
	}
	p, err := t.ensure(cgroupDir, true)
	if err != nil {
		return err
	}
	defer p.close()
	if err := unix.Mount(dir, p.path(), "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("mount %s: %w", cgroupDir, err)
	}
	return nil
}

// mountCgroups mounts the control groups of the guest's kernel at dir, which it
// makes, and says whether there is anything to mount.
func mountCgroups(c api.Cgroupfs, dir string) (bool, error) {
	kernel, err := readCgroupKernel()
	if err != nil {
		return false, err
	}
	mode, err := kernel.choose(c)
	if err != nil || mode == "" {
		return false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	if mode != api.CgroupV2 {
		err := mountV1(dir, kernel.controllers, mode == api.CgroupHybrid)
		if !errors.Is(err, errNoV1) || !c.Optional {
			return true, err
		}
	}
	return true, mountCgroup(dir, "cgroup2", "")
}

// mountV1 mounts a hierarchy for each controller, as far as the kernel lets: one
// that is disabled for version 1 alone shows only when it is mounted.
func mountV1(dir string, controllers []string, unified bool) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("cgroup", dir, "tmpfs", flags, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", cgroupDir, err)
	}
	var refused error
	mounted := 0
	for _, name := range controllers {
		at := filepath.Join(dir, name)
		err := os.Mkdir(at, 0o755)
		if err == nil {
			err = mountCgroup(at, "cgroup", name)
		}
		switch {
		case err == nil:
			mounted++
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EBUSY):
			refused = err
			_ = unix.Rmdir(at)
		default:
			return err
		}
	}
	if mounted == 0 {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
		return fmt.Errorf("%w (%s): %w; boot it without cgroup_no_v1, or set cgroupfs.mode to \"2\"",
			errNoV1, strings.Join(controllers, ", "), refused)
	}
	if unified {
		at := filepath.Join(dir, unifiedName)
		err := os.Mkdir(at, 0o755)
		if err == nil {
			err = mountCgroup(at, "cgroup2", "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errNoV1 says that the kernel has version 1, but not to be used.
var errNoV1 = errors.New("the guest's kernel refuses every controller of version 1 of control groups")

func mountCgroup(at, fstype, data string) error {
	if err := unix.Mount(fstype, at, fstype, cgroupFlags, data); err != nil {
		return fmt.Errorf("mount the control groups %q: %w", filepath.Base(at), err)
	}
	return nil
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
