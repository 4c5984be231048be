package engine_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
)

// requireProgram skips the test where a program is missing, and fails it where
// RUNCVM_REQUIRE lists the capability.
func requireProgram(t *testing.T, capability, path string) {
	t.Helper()
	if _, err := exec.LookPath(path); err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("RUNCVM_REQUIRE"), ","), capability) {
		t.Fatalf("RUNCVM_REQUIRE lists %q, but %s is not there", capability, path)
	}
	t.Skipf("requires %s: %s is not there", capability, path)
}

// TestProgramsAcceptArguments starts the installed virtiofsd and QEMU with a
// plan's arguments, the paths within the tool root replaced, and ends them by
// QMP.
func TestProgramsAcceptArguments(t *testing.T) {
	requireProgram(t, "qemu", plan.QEMUPath)
	const virtiofsd = "/usr/lib/qemu/virtiofsd"
	requireProgram(t, "qemu", virtiofsd)
	if os.Geteuid() != 0 {
		t.Skip("requires root: virtiofsd changes its root directory")
	}
	for _, firmware := range []string{"seabios", "qboot"} {
		t.Run(firmware, func(t *testing.T) {
			p := compilePlan(t, fmt.Sprintf("profile \"default\" {\n firmware {\n type = %q\n }\n}\n", firmware))
			acceptArguments(t, p)
		})
	}
}

func acceptArguments(t *testing.T, p *plan.Plan) {
	t.Helper()
	share, err := net.Listen("unix", t.TempDir()+"/share")
	if err != nil {
		t.Fatal(err)
	}
	defer share.Close()
	listener, err := share.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	argv := slices.Clone(p.Processes["virtiofsd"].Argv)
	argv[slices.Index(argv, "source="+plan.ShareMount)] = "source=" + t.TempDir()
	startProgram(t, argv, []*os.File{listener})

	connection, err := net.Dial("unix", share.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	shareFD, err := connection.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer shareFD.Close()
	qmp, qmpPeer := socketPair(t)
	_, consolePeer := socketPair(t)
	_, agentPeer := socketPair(t)
	argv = append(withoutKernel(p.Processes["qemu"].Argv), "-S")
	argv = append(argv, qemu.NIC(0, "02:42:ac:11:00:02", plan.FDFirstNIC, 1500)...)
	tap := openTap(t)
	exited := startProgram(t, argv, []*os.File{qmpPeer, consolePeer, agentPeer, shareFD, tap})
	for _, f := range []*os.File{qmpPeer, consolePeer, agentPeer, tap} {
		f.Close()
	}

	conn, err := net.FileConn(qmp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	replies := bufio.NewScanner(conn)
	expect := func(want string) {
		for replies.Scan() {
			if strings.Contains(replies.Text(), want) {
				return
			}
		}
		t.Fatalf("QEMU did not say %s; it ended: %v", want, <-exited)
	}
	expect(`"QMP"`)
	fmt.Fprintln(conn, `{"execute":"qmp_capabilities"}`)
	expect(`"return"`)
	fmt.Fprintln(conn, `{"execute":"query-status"}`)
	expect(`"prelaunch"`)
	fmt.Fprintln(conn, `{"execute":"quit"}`)
	if err := <-exited; err != nil {
		t.Errorf("qemu: %v", err)
	}
}

// withoutKernel leaves out the files of a kernel that is not installed.
func withoutKernel(argv []string) []string {
	var out []string
	for i := 0; i < len(argv); i++ {
		if argv[i] == "-kernel" || argv[i] == "-initrd" || argv[i] == "-append" {
			i++
			continue
		}
		out = append(out, argv[i])
	}
	return out
}

// startProgram runs a program with files as its descriptors from 3 on until the
// test ends. The channel gives its end, with what it printed.
func startProgram(t *testing.T, argv []string, files []*os.File) <-chan error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.ExtraFiles = files
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := cmd.Wait(); err != nil {
			exited <- fmt.Errorf("%s: %w\n%s", argv[0], err, output.String())
		}
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return exited
}

func socketPair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}
