package agent

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// stageFD is the stage's end of the channel.
const stageFD = 3

// startStage starts this program as a stage, in new namespaces by the flags.
func (a *Agent) startStage(flags uintptr) (int, <-chan unix.WaitStatus, channel, error) {
	ours, theirs, err := newChannel()
	if err != nil {
		return 0, nil, channel{}, err
	}
	defer theirs.close()
	null := a.null.Fd()
	attr := &syscall.ProcAttr{
		Dir: "/",
		// A stage lives for milliseconds, in one goroutine: neither a garbage
		// collector nor more threads are worth their start.
		Env: []string{"GOGC=off", "GOMAXPROCS=1"},
		// Until the program runs, a panic of the stage shows on our stderr.
		Files: []uintptr{null, null, 2, uintptr(theirs.fd)},
		Sys:   &syscall.SysProcAttr{Cloneflags: flags},
	}
	pid, status, err := a.config.Reaper.start(func() (int, error) {
		return syscall.ForkExec("/proc/self/exe", []string{"runcvm-guest", ChildArg}, attr)
	})
	if err != nil {
		ours.close()
		return 0, nil, channel{}, fmt.Errorf("start a process: %w", err)
	}
	return pid, status, ours, nil
}

// joinStage starts a stage in an existing PID namespace. The stage joins the
// mount namespace by itself: here, that would take this program's /proc away.
func (a *Agent) joinStage(pidNS *os.File) (int, <-chan unix.WaitStatus, channel, error) {
	// Which PID namespace children begin in belongs to the thread.
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/pid")
	if err != nil {
		runtime.UnlockOSThread()
		return 0, nil, channel{}, err
	}
	defer own.Close()
	if err := unix.Setns(int(pidNS.Fd()), unix.CLONE_NEWPID); err != nil {
		runtime.UnlockOSThread()
		return 0, nil, channel{}, fmt.Errorf("join the container's PID namespace: %w", err)
	}
	pid, status, ch, startErr := a.startStage(0)
	// A thread that cannot go back stays locked and ends with its goroutine.
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWPID); err == nil {
		runtime.UnlockOSThread()
	}
	// The kernel's word for a namespace whose PID 1 has ended.
	if errors.Is(startErr, unix.ENOMEM) {
		startErr = errStopped
	}
	return pid, status, ch, startErr
}
