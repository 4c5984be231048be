package supervisor

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hashicorp/yamux"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/internal/testkit"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// guestEnv names the folder of a guest in the copy of the test program that is
// one: PID 1 of namespaces of its own, as in the VM.
const guestEnv = "RUNCVM_TEST_GUEST"

// sessionFD is the guest's end of the session.
const sessionFD = 3

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == agent.ChildArg:
		agent.Stage()
	case os.Getenv(guestEnv) != "":
		fmt.Fprintln(os.Stderr, "the guest ended:", runGuest(os.Getenv(guestEnv)))
		os.Exit(1)
	default:
		os.Exit(m.Run())
	}
}

// runGuest serves a session as the VM's PID 1 does, by the real agent. The
// image is this machine's root.
func runGuest(dir string) error {
	share, image := filepath.Join(dir, "share"), filepath.Join(dir, "share", api.RootDir)
	if err := os.MkdirAll(image, 0o755); err != nil {
		return err
	}
	for _, m := range []struct {
		source, target, fstype string
		flags                  uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"/", image, "", unix.MS_BIND},
	} {
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	a, err := agent.New(agent.Config{Reaper: agent.NewReaper(), ShareDir: share, RootDir: filepath.Join(dir, "root")})
	if err != nil {
		return err
	}
	err = a.BuildRoot(rootfs.Config{Mounts: []api.Mount{
		{Type: "proc", Destination: "/proc"}, {Type: "tmpfs", Destination: "/dev"}, {Type: "tmpfs", Destination: "/tmp"},
	}})
	if err != nil {
		return err
	}
	conn, err := net.FileConn(os.NewFile(sessionFD, "session"))
	if err != nil {
		return err
	}
	session, err := yamux.Server(conn, api.SessionConfig())
	if err != nil {
		return err
	}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return err
		}
		go dispatch(a, stream)
	}
}

func dispatch(a *agent.Agent, stream *yamux.Stream) {
	var open api.Open
	switch err := api.Read(stream, &open); {
	case err != nil:
		stream.Close()
	case open.Kind == api.KindProcess:
		a.ServeProcess(stream)
	case open.Kind == api.KindStdio:
		a.ServeStdio(open, stream)
	}
}

// startGuest starts a guest and returns the supervisor's end of its session,
// and what ends it at once.
func startGuest(t *testing.T) (g *guest, kill func()) {
	t.Helper()
	testkit.Require(t, testkit.Root)
	conn, file, err := vmm.SocketPair("agent")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), guestEnv+"="+t.TempDir())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, or has been before
	}
	t.Cleanup(kill)
	if g, err = connectGuest(conn, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.session.Close() })
	return g, kill
}

// shell is a process that runs a script.
func shell(script string) specs.Process {
	return specs.Process{Args: []string{"/bin/sh", "-c", script}, Cwd: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}}
}
