package dockerrun

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// devices are those of --device, or all of the host's for --privileged.
func (b *builder) devices() error {
	rules := &b.spec.Linux.Resources.Devices
	if b.o.privileged {
		*rules = append(*rules, specs.LinuxDeviceCgroup{Allow: true, Access: allAccess})
		return b.allDevices()
	}
	for _, text := range b.o.devices {
		source, rest, _ := strings.Cut(text, ":")
		destination, access, _ := strings.Cut(rest, ":")
		if !strings.HasPrefix(destination, "/") { // only permissions follow
			destination, access = source, destination
		}
		if access == "" {
			access = allAccess
		}
		d, err := deviceAt(source)
		if err != nil {
			return fmt.Errorf("docker run's flags: --device %q: %w", text, err)
		}
		if d == nil {
			return fmt.Errorf("docker run's flags: --device %q: %s is no device", text, source)
		}
		d.Path = destination
		b.spec.Linux.Devices = append(b.spec.Linux.Devices, *d)
		*rules = append(*rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: access})
	}
	return nil
}

// allAccess is to read, to write and to make nodes.
const allAccess = "rwm"

// notDevices are folders of /dev that are not the host's to give.
var notDevices = []string{"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"}

func (b *builder) allDevices() error {
	return filepath.WalkDir("/dev", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(notDevices, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Name() == "console" || entry.Type()&fs.ModeDevice == 0 {
			return nil
		}
		d, err := deviceAt(path)
		if d != nil {
			b.spec.Linux.Devices = append(b.spec.Linux.Devices, *d)
		}
		return err
	})
}

// deviceAt describes a device of the host, nil when there is something else at
// the path.
func deviceAt(path string) (*specs.LinuxDevice, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	d := &specs.LinuxDevice{Path: path, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev))}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Type = "c"
	case unix.S_IFBLK:
		d.Type = "b"
	default:
		return nil, nil
	}
	mode, uid, gid := os.FileMode(st.Mode&^unix.S_IFMT), st.Uid, st.Gid
	d.FileMode, d.UID, d.GID = &mode, &uid, &gid
	return d, nil
}
