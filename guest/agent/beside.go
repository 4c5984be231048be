package agent

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// adoptPID1 takes the VM's PID 1, which waits for orders, for the container's
// first process.
func (a *Agent) adoptPID1() error {
	f := &a.first
	f.started, f.gone = make(chan struct{}), make(chan struct{})
	f.pid, f.channel = 1, channel{fd: a.config.Orders}
	f.killed = make(chan unix.WaitStatus, 1)
	f.exited = f.killed
	var err error
	if f.pidNS, err = os.Open("/proc/1/ns/pid"); err != nil {
		return err
	}
	f.mountNS, err = os.Open("/proc/1/ns/mnt")
	return err
}

// becomeInit is becomeUser for the VM's PID 1, which keeps what the kernel
// gives it. The specification's user is root.
func becomeInit(spec *specs.Process) error {
	unix.Umask(0o022)
	if err := chdir(spec.Cwd); err != nil {
		return err
	}
	if spec.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return nil
}

// containerMarks are files by which programs tell that they run in a container,
// those of Docker and Podman.
var containerMarks = []string{"/.dockerenv", "/run/.containerenv"}

// machineEnvironment takes away what says that the root is a container's, and
// returns PID 1's environment. Of a mark that stays, as on a read-only root, an
// empty variable container keeps systemd from believing it.
func machineEnvironment(env []string) []string {
	for _, mark := range containerMarks {
		_ = os.Remove(mark)
		if _, err := os.Lstat(mark); err == nil {
			return append(env, "container=")
		}
	}
	return env
}

// signalPID1 sends the VM's PID 1 a signal. The kernel keeps SIGKILL from it:
// that one counts as its end, and the VM is to follow.
func (a *Agent) signalPID1(sig unix.Signal) error {
	if sig != unix.SIGKILL {
		return unix.Kill(1, sig)
	}
	select {
	case a.first.killed <- unix.WaitStatus(unix.SIGKILL):
	default: // it has been before
	}
	return nil
}

// killAll kills every process of the VM but its PID 1 and this one, and waits
// until they are gone. An init may start others meanwhile, so that it repeats.
func (a *Agent) killAll(timeout time.Duration) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		// It spares the caller and PID 1.
		if err := unix.Kill(-1, unix.SIGKILL); errors.Is(err, unix.ESRCH) {
			return nil
		}
		if !othersLive() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the processes did not end within %v of SIGKILL", timeout)
		}
	}
}

// othersLive says whether there is a process besides PID 1 and this one.
func othersLive() bool {
	return slices.ContainsFunc(userProcesses(), func(pid int) bool { return pid != 1 })
}

// consoleSide is the side of a console that programs open. One that is open
// here keeps the other side readable when no program has it.
type consoleSide struct {
	master *os.File
	log    bool // see makeLog; a hang-up resets the modes
	fd     int  // -1 when closed
}

// holdOpen opens the other side of a terminal's master.
func holdOpen(master *os.File, log bool) *consoleSide {
	c := &consoleSide{master: master, log: log, fd: -1}
	c.reopen()
	return c
}

// reopen opens the side anew, after a hang-up, and says whether it could.
func (c *consoleSide) reopen() bool {
	c.close()
	raw, err := c.master.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		peer, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if errno != 0 {
			return
		}
		c.fd = int(peer)
		if c.log {
			_ = makeLog(c.fd)
		}
	})
	return err == nil && c.fd >= 0
}

func (c *consoleSide) close() {
	if c != nil && c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}
