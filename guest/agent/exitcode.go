package agent

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ExitProgram is the name by which this program ends the container with an exit
// code, as images call it that were made for a runtime that knew no exit codes.
const ExitProgram = "qemu-exit"

// exitSocket is where the agent hears of it: a name in the guest's network
// namespace, so that no image has a file of it.
const exitSocket = "@runcvm-exit"

// ServeExit ends the container with the code that ExitProgram asks for. Only the
// guest's root may ask: who may not, could not have used an I/O port either.
func (a *Agent) ServeExit() error {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: exitSocket})
	if err != nil {
		return fmt.Errorf("listen for %s: %w", ExitProgram, err)
	}
	a.spawn(func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			var code [1]byte
			if peerIsRoot(conn) {
				if n, _ := conn.Read(code[:]); n == 1 {
					a.endWith(int(code[0]))
				}
			}
			_ = conn.Close()
		}
	})
	return nil
}

func peerIsRoot(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	root := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		root = err == nil && cred.Uid == 0
	})
	return err == nil && root
}

// endWith ends the container's first process as if it had exited with the code.
func (a *Agent) endWith(code int) {
	status := unix.WaitStatus(code << 8)
	if !a.beside() {
		a.first.ordered.Store(&status)
		_ = a.config.Reaper.signal(a.first.pid, unix.SIGKILL)
		return
	}
	// The kernel keeps SIGKILL from the VM's PID 1: this counts as its end.
	select {
	case a.first.killed <- status:
	default: // it has been before
	}
}

// Exit is ExitProgram: it asks the agent for the container's end with the code
// that is its only argument, 0 without one, and returns when that cannot be had.
func Exit(args []string) int {
	code := 0
	if len(args) == 1 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 || n > 255 {
			fmt.Fprintf(os.Stderr, "%s: %q is no exit code: give a number from 0 to 255\n", ExitProgram, args[0])
			return 255
		}
		code = n
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: exitSocket})
	if err == nil {
		if _, err = conn.Write([]byte{byte(code)}); err == nil {
			_, err = conn.Read(make([]byte, 1)) // never answered: the container ends, or the user is not root
		}
	}
	fmt.Fprintf(os.Stderr, "%s: the machine cannot be ended from here, only by root: %v\n", ExitProgram, err)
	return 255
}
