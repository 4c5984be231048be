package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

// startFirst starts the stage of the container's first process in new PID and
// mount namespaces.
func (a *Agent) startFirst() error {
	f := &a.first
	f.started, f.gone = make(chan struct{}), make(chan struct{})
	pid, status, ch, err := a.startStage(unix.CLONE_NEWPID | unix.CLONE_NEWNS)
	if err != nil {
		return err
	}
	f.pid, f.channel = pid, ch
	exited := make(chan unix.WaitStatus, 1)
	f.exited = exited
	a.spawn(func() {
		ended := <-status
		if as := f.ordered.Load(); as != nil {
			ended = *as
		}
		exited <- ended
		close(f.gone)
	})
	proc := "/proc/" + strconv.Itoa(pid) + "/ns/"
	if f.pidNS, err = os.Open(proc + "pid"); err != nil {
		return err
	}
	f.mountNS, err = os.Open(proc + "mnt")
	return err
}

// MountShare mounts the virtiofs share in the container's mount namespace. It
// may be called before the rest of the configuration is known.
//
// The agent keeps the share's root open. Its subdirectories are file systems of
// their own that write back through the device of this one, which the kernel
// takes away when the last reference to it goes (SB_I_PERSB_BDI): pages dirtied
// through mappings would then never be written, and their writers stall.
func (a *Agent) MountShare(tag string) (err error) {
	a.first.share, err = a.first.mountShare(tag, a.config.ShareDir)
	return err
}

// KeepModules keeps the folder of the kernel's modules open, a path in the
// share, and returns the path by which other processes of the guest find it: a
// second mount of the share would be that of any of its parts. For no folder it
// returns nothing.
//
// Whose that folder is, the plan has decided: the image's own for a kernel that is
// the image's, else one that nothing in the guest can write to.
func (a *Agent) KeepModules(folder string) (string, error) {
	if folder == "" {
		return "", nil
	}
	base, rest := int(a.first.share.Fd()), folder
	if inImage, ok := strings.CutPrefix(folder, api.RootDir+"/"); ok {
		// The image's links lead to places in the image.
		fd, err := unix.Openat(base, api.RootDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", &os.PathError{Op: "open", Path: folder, Err: err}
		}
		defer unix.Close(fd)
		base, rest = fd, inImage
	}
	fd, err := unix.Openat2(base, rest, &unix.OpenHow{
		Flags:   unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return "", &os.PathError{Op: "open the kernel's modules", Path: folder, Err: err}
	}
	a.first.modules = os.NewFile(uintptr(fd), folder)
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), nil
}

// MountVolumes mounts the share of the volumes over the folder of the first one
// that has them else.
func (a *Agent) MountVolumes(tag string) (err error) {
	a.first.volumes, err = a.first.mountShare(tag, filepath.Join(a.config.ShareDir, api.VolumesDir))
	return err
}

// mountShare mounts a share and opens its root.
func (f *firstProcess) mountShare(tag, dir string) (*os.File, error) {
	if err := f.order(order{Share: &shareOrder{Tag: tag, Dir: dir}}); err != nil {
		return nil, err
	}
	return os.OpenFile("/proc/"+strconv.Itoa(f.pid)+"/root"+dir, unix.O_PATH|unix.O_DIRECTORY, 0)
}

// BuildRoot makes the container's root file system. The configuration's own
// directories are the agent's.
func (a *Agent) BuildRoot(c rootfs.Config) error {
	c.Share, c.Root = a.config.ShareDir, a.config.RootDir
	a.first.ownsDev = rootfs.OwnsDev(c.Mounts)
	return a.first.order(order{Root: &c})
}

// KeepRoot keeps the container's root open, for MakeDevice, once it is built. A /dev
// that is a volume is not the container's own, and stays as it is.
func (a *Agent) KeepRoot() (err error) {
	if a.first.ownsDev {
		a.first.root, err = os.OpenFile("/proc/"+strconv.Itoa(a.first.pid)+"/root", unix.O_PATH|unix.O_DIRECTORY, 0)
	}
	return err
}

// MakeDevice makes a node in the container's /dev. One of another device that is
// there stays, and is an error.
func (a *Agent) MakeDevice(d api.Device) error {
	if a.first.root == nil {
		return nil
	}
	return rootfs.MakeDevice(a.first.rootPath(), d)
}

// RemoveDevice removes the device's node from the container's /dev, if it is there.
func (a *Agent) RemoveDevice(d api.Device) error {
	if a.first.root == nil {
		return nil
	}
	return rootfs.RemoveDevice(a.first.rootPath(), d)
}

// rootPath is the path of the open root.
func (f *firstProcess) rootPath() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.root.Fd())
}

// order sends an order to the first process's stage and waits for its answer.
func (f *firstProcess) order(o order, fds ...int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.channel.send(o, fds...); err != nil {
		return fmt.Errorf("the container's first process has ended: %w", err)
	}
	var r report
	if _, err := f.channel.receive(&r); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it ended before it answered")
		}
		return fmt.Errorf("the container's first process: %w", err)
	}
	if r.Failed != nil {
		return (*startError)(r.Failed)
	}
	return nil
}

// claim gives the first process to the one request that may have it.
func (f *firstProcess) claim() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.requested {
		return errors.New("the container has been started before")
	}
	f.requested = true
	return nil
}

// settle says whether the first process runs.
func (f *firstProcess) settle(err error) {
	f.failed = err != nil
	close(f.started)
}

// running waits until the first process runs.
func (f *firstProcess) running() error {
	select {
	case <-f.started:
	case <-f.gone:
	}
	select {
	case <-f.gone:
		return errStopped
	default:
	}
	if f.failed {
		return errStopped
	}
	return nil
}

// errStopped is in runc's words.
var errStopped = errors.New("cannot exec in a stopped container")
