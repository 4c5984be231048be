package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// mount makes one mount of the configuration.
func (t tree) mount(share string, m api.Mount) error {
	o := parseOptions(m.Options)
	var err error
	switch {
	case m.Type == api.TypeVolume:
		err = t.mountVolume(share, m, o)
	case m.Type == api.TypeProgram:
		err = t.bind(ProgramPath, m.Destination, false, o)
	case m.Type == api.TypeSocket:
		err = t.bind(filepath.Join(SocketsDir, filepath.Base(m.Source)), m.Destination, false, o)
	case o.flags&unix.MS_REMOUNT != 0:
		err = t.remountExisting(m, o)
	default:
		err = t.mountFilesystem(m, o)
	}
	if err != nil {
		return err
	}
	return t.finish(m.Destination, o)
}

// mountVolume binds a volume.
func (t tree) mountVolume(share string, m api.Mount, o options) error {
	if o.data != "" {
		return fmt.Errorf("unknown mount option %q", o.data)
	}
	source, err := volumeSource(share, m.Source)
	if err != nil {
		return err
	}
	st, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("volume %s: %w", m.Source, err)
	}
	return t.bind(source, m.Destination, st.IsDir(), o)
}

// SocketsDir is where the guest's sockets of api.Boot.Sockets are, by their
// names, in the initramfs.
const SocketsDir = "/sockets"

// ProgramPath is the guest's own program, in the initramfs.
const ProgramPath = "/init"

// bind binds a file or a folder. The bind itself takes no flags: they need a
// second call.
func (t tree) bind(source, destination string, folder bool, o options) error {
	p, err := t.ensure(destination, folder)
	if err != nil {
		return err
	}
	defer p.close()
	if err := unix.Mount(source, p.path(), "", unix.MS_BIND|o.flags&unix.MS_REC, ""); err != nil {
		return err
	}
	rest := o.flags &^ (unix.MS_BIND | unix.MS_REC)
	if rest == 0 {
		return nil
	}
	return t.at(destination, func(path string) error { return remount(path, rest) })
}

// mountFilesystem mounts a file system of the guest's kernel.
func (t tree) mountFilesystem(m api.Mount, o options) error {
	missing := t.missing(m.Destination)
	p, err := t.ensure(m.Destination, true)
	if err != nil {
		return err
	}
	defer p.close()
	fstype, data, flags := m.Type, o.data, o.flags&^(unix.MS_BIND|unix.MS_REC)
	source := m.Source
	if serial, ok := strings.CutPrefix(source, api.DiskSource); ok {
		if source, err = findDisk(serial); err != nil {
			return err
		}
	} else if source == "" {
		source = fstype
	}
	switch fstype {
	case "cgroup": // the guest has the unified hierarchy alone
		fstype, data = "cgroup2", ""
	case "tmpfs":
		// As runc: a tmpfs looks like the directory that it covers, unless told.
		if !missing {
			mode, err := p.mode()
			if err != nil {
				return err
			}
			data = join(fmt.Sprintf("mode=%04o", mode&0o7777), data)
		}
		if o.copyUp {
			return t.mountCopyUp(p, m.Destination, source, flags, data)
		}
	}
	return unix.Mount(source, p.path(), fstype, flags, data)
}

// mountCopyUp mounts a tmpfs that begins with what the directory held.
func (t tree) mountCopyUp(p place, destination, source string, flags uintptr, data string) error {
	// Filled while it can be written.
	if err := unix.Mount(source, p.path(), "tmpfs", flags&^unix.MS_RDONLY, data); err != nil {
		return err
	}
	return t.at(destination, func(path string) error {
		if err := copyTree(p.path(), path); err != nil {
			return fmt.Errorf("copy up: %w", err)
		}
		if flags&unix.MS_RDONLY == 0 {
			return nil
		}
		return unix.Mount("", path, "", unix.MS_REMOUNT|flags, data)
	})
}

func (t tree) remountExisting(m api.Mount, o options) error {
	return t.at(m.Destination, func(path string) error {
		return unix.Mount(m.Source, path, m.Type, o.flags, o.data)
	})
}

// finish applies what a mount takes in calls of their own.
func (t tree) finish(destination string, o options) error {
	if len(o.propagation) == 0 && o.setAttr == 0 && o.clearAttr == 0 {
		return nil
	}
	return t.at(destination, func(path string) error {
		for _, flag := range o.propagation {
			if err := unix.Mount("", path, "", flag, ""); err != nil {
				return fmt.Errorf("set the propagation: %w", err)
			}
		}
		if o.setAttr == 0 && o.clearAttr == 0 {
			return nil
		}
		attr := unix.MountAttr{Attr_set: o.setAttr, Attr_clr: o.clearAttr &^ o.setAttr}
		if o.clearAttr&unix.MOUNT_ATTR__ATIME == unix.MOUNT_ATTR__ATIME {
			attr.Attr_clr |= unix.MOUNT_ATTR__ATIME
		}
		err := unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, &attr)
		if errors.Is(err, unix.ENOSYS) {
			return fmt.Errorf("recursive mount options need Linux 5.12 in the guest: %w", err)
		}
		return err
	})
}

// at calls f with a path for what now stands at the destination: the top of
// its mounts.
func (t tree) at(destination string, f func(path string) error) error {
	p, err := t.open(destination)
	if err != nil {
		return err
	}
	defer p.close()
	return f(p.path())
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "," + b
}
