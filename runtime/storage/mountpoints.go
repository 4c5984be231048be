// Package storage prepares the host's side of a VM's file systems.
package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// MountPoint is where something will be mounted in a root file system.
type MountPoint struct {
	Destination string // in the root
	File        bool   // a file, not a folder
	Shared      bool   // a folder that every user may write to, as a new tmpfs
}

// MakeMountPoints makes those of points that are missing in root. Links in it
// are followed within it. The guest does this by itself where it may write;
// to a root that the host serves read-only it may not.
func MakeMountPoints(root string, points []MountPoint) error {
	dir, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open the container's root: %w", err)
	}
	defer dir.Close()
	var covered []string // what lies below is another file system's
	for _, p := range points {
		destination := filepath.Join("/", p.Destination)
		if !below(destination, covered) {
			if err := makeMountPoint(dir, destination, p); err != nil {
				return fmt.Errorf("make the mount point %s in the read-only root %s: %w", destination, root, err)
			}
		}
		covered = append(covered, destination+"/")
	}
	return nil
}

func below(path string, folders []string) bool {
	for _, f := range folders {
		if strings.HasPrefix(path, f) {
			return true
		}
	}
	return false
}

func makeMountPoint(root *os.File, destination string, p MountPoint) error {
	found, err := pathrs.OpenatInRoot(root, destination)
	if err == nil {
		return found.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	const mode = 0o755
	if !p.File {
		made, err := pathrs.MkdirAllHandle(root, destination, mode)
		if err != nil {
			return err
		}
		defer made.Close()
		if p.Shared {
			return made.Chmod(fs.ModeSticky | fs.ModePerm)
		}
		return nil
	}
	parent, err := pathrs.MkdirAllHandle(root, filepath.Dir(destination), mode)
	if err != nil {
		return err
	}
	defer parent.Close()
	flags := unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(parent.Fd()), filepath.Base(destination), flags, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
