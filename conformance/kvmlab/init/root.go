package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// Mount points in the initramfs.
const (
	hostDir    = "/host"    // the host's root, read-only
	overlayDir = "/overlay" // tmpfs: what is written
	newRootDir = "/newroot"
)

// mount is a mount that is to be made.
type mount struct {
	source, dir, fstype string
	flags               uintptr
	data                string
}

// mountAll makes mounts, with their mount points.
func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		err := unix.Mount(m.source, m.dir, m.fstype, m.flags, m.data)
		// The kernel mounts devtmpfs itself where it is configured to.
		if err != nil && (err != unix.EBUSY || m.fstype != "devtmpfs") {
			return fmt.Errorf("mount %s (%s) on %s: %w", m.source, m.fstype, m.dir, err)
		}
	}
	return nil
}

func mountKernelFilesystems(lab.Config) error {
	return mountAll([]mount{
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"devtmpfs", "/dev", "devtmpfs", 0, ""},
	})
}

// mountHostRoot makes the host's root visible, with what modprobe reads.
func mountHostRoot(lab.Config) error {
	return mountAll([]mount{
		{lab.RootTag, hostDir, "virtiofs", unix.MS_RDONLY, ""},
		{"/proc", hostDir + "/proc", "", unix.MS_BIND, ""},
		{"/sys", hostDir + "/sys", "", unix.MS_BIND, ""},
	})
}

// switchRoot makes an overlay over the host's root the root of this process. Its
// kernel helpers share it, so that the kernel finds modprobe.
func switchRoot(config lab.Config) error {
	err := mountAll([]mount{{"tmpfs", overlayDir, "tmpfs", 0, "mode=755"}})
	if err != nil {
		return err
	}
	for _, dir := range []string{"/upper", "/work"} {
		if err := os.Mkdir(overlayDir+dir, 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", hostDir, overlayDir, overlayDir)
	modules := filepath.Join(hostDir, config.KernelDir, "lib/modules")
	err = mountAll([]mount{
		{"overlay", newRootDir, "overlay", 0, layers},
		{"/proc", newRootDir + "/proc", "", unix.MS_MOVE, ""},
		{"/sys", newRootDir + "/sys", "", unix.MS_MOVE, ""},
		{"/dev", newRootDir + "/dev", "", unix.MS_MOVE, ""},
		{"tmpfs", newRootDir + "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{modules, newRootDir + "/usr/lib/modules", "", unix.MS_BIND, ""},
	})
	if err != nil {
		return err
	}
	if err := unix.Chdir(newRootDir); err != nil {
		return err
	}
	// Moved onto "/", it can be pivoted away from, as container runtimes do.
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("make the overlay the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return unix.Chdir("/")
}

// mountFilesystems mounts what tests and container engines look for.
func mountFilesystems(lab.Config) error {
	return mountAll([]mount{
		{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=620,gid=5,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, ""},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		// The host has just made it: nothing is left to initialise.
		{lab.ScratchDev, lab.ScratchDir, "ext4", unix.MS_NOATIME, "noinit_itable"},
		{lab.ResultsTag, lab.ResultsDir, "virtiofs", 0, ""},
	})
}
