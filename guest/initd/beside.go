package initd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// BesideArg is the first argument of this program when it is the agent beside
// an init of the image's own: main then calls Beside.
const BesideArg = "beside"

// besideName is argv[0] of that agent. systemd spares processes of root whose
// name begins so when it kills what is left at a shutdown.
// https://systemd.io/ROOT_STORAGE_DAEMONS
const besideName = "@runcvm-guest"

// orderFD is the agent's end of the channel to PID 1.
const orderFD = 3

// isReplaced reads from the kernel's command line whether the entrypoint is to
// be PID 1.
func isReplaced(path string) (bool, error) {
	line, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	return slices.Contains(strings.Fields(string(line)), api.ExecInit), nil
}

// makeWay starts the agent in a process and a mount namespace of its own and
// obeys its orders, the last of which makes this process the entrypoint: it
// returns only when the VM cannot go on.
func makeWay() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make the channel to the agent: %w", err)
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{besideName, BesideArg}, &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{0, 1, 2, uintptr(fds[1])},
		Sys:   &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS},
	})
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	_ = unix.Close(fds[1])
	agent.StagePID1(fds[0])
	// The entrypoint could not be started. The agent tells the supervisor, which
	// ends the VM.
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, 0, nil)
		if ended == pid || err != nil && err != unix.EINTR {
			return errors.New("the agent has ended before the entrypoint began")
		}
	}
}

// Beside is the agent's main function. It does not return.
func Beside() {
	defer dieOfPanic()
	var times timeline
	times.mark(api.MilestoneInit)
	unix.CloseOnExec(orderFD)
	ignoreSignals()
	die(run(&times, agent.Config{Orders: orderFD}).Error())
}
