package agent

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/testkit"
)

// insideEnv is set in the copy of the test program that runs in namespaces of
// its own, where it is PID 1 as the guest's is.
const insideEnv = "RUNCVM_TEST_NAMESPACES"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ChildArg {
		Stage()
		return
	}
	if os.Getenv(insideEnv) == "" && os.Geteuid() == 0 {
		os.Exit(runInside())
	}
	if os.Getenv(insideEnv) != "" {
		if err := prepareInside(); err != nil {
			fmt.Fprintln(os.Stderr, "prepare the namespaces:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func runInside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
	}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "run the tests in namespaces:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

func prepareInside() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// requireNamespaces skips a test that needs the namespaces that root can make.
func requireNamespaces(t *testing.T) {
	t.Helper()
	testkit.Require(t, testkit.Root)
	if os.Getenv(insideEnv) == "" {
		t.Fatal("the tests do not run in namespaces of their own: see TestMain")
	}
}
