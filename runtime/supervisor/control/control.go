// Package control is how the host-side verbs (exec, kill) and the exec relay
// reach a container's supervisor: a unix socket in the container's state
// folder, one request for each connection, in guest/api's framing.
package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// Names in the state folder.
const (
	SocketName = "control.sock"
	// AwaitFile tells the supervisor that `start` waits for the entrypoint and
	// reports why it did not start.
	AwaitFile = "await"
	// ErrorFile has the reason why the entrypoint did not start.
	ErrorFile = "error"
)

// Request is the only message that a client sends before the answer. Exactly
// one field is set.
type Request struct {
	Exec   *Exec   `json:"exec,omitempty"`
	Attach *Attach `json:"attach,omitempty"`
	Signal *Signal `json:"signal,omitempty"`
	// Await is answered when the entrypoint has started, or when the boot holds at
	// a breakpoint. A supervisor that ends
	// without an answer has left the reason in ErrorFile.
	Await bool   `json:"await,omitempty"`
	Debug *Debug `json:"debug,omitempty"`
	// Update changes the machine.
	Update *Update `json:"update,omitempty"`
	// Clock sets the guest's time of day by the host's.
	Clock bool `json:"clock,omitempty"`
	// Processes asks what runs in the container.
	Processes bool `json:"processes,omitempty"`
}

// Exec starts a process in the VM and holds its stdio until an Attach with the
// token of the Reply.
type Exec struct {
	Process specs.Process `json:"process"`
	// PlainNewlines is that of api.Process.
	PlainNewlines bool `json:"plain_newlines,omitempty"`
	// NoInput gives the process its own /dev/null as its standard input.
	NoInput bool `json:"no_input,omitempty"`
}

// Attach connects the sender's stdin, stdout and stderr to a process. The
// request is followed by one byte that carries the three descriptors, then by
// api.ProcessControl messages; api.ProcessEvent messages come back.
type Attach struct {
	Token string `json:"token"`
}

// Signal sends a signal to the container's entrypoint.
type Signal struct {
	Number int `json:"number"` // Linux signal number
}

// UpdateLimit bounds how long an Update may take: the guest has to let memory go,
// some mebibytes at a time.
const UpdateLimit = 3 * time.Minute

// ProcessesLimit bounds how long the guest may take to tell its processes.
const ProcessesLimit = 30 * time.Second

// Update changes the running machine. Zero fields leave what they are about as it
// is.
type Update struct {
	CPUs      int    `json:"cpus,omitempty"`
	MemoryMiB int    `json:"memory_mib,omitempty"`
	PidsLimit *int64 `json:"pids_limit,omitempty"` // less than 1 for none
}

// Debug asks where the boot holds.
type Debug struct {
	Continue bool `json:"continue,omitempty"` // let it go on from there
}

// Reply answers Exec, Signal, Update, Debug, Clock and Processes.
type Reply struct {
	Token  string      `json:"token,omitempty"`
	Failed *api.Failed `json:"failed,omitempty"` // the process could not be started
	Error  string      `json:"error,omitempty"`  // the supervisor could not do it
	// Breakpoint is where the boot holds, or has held until now; empty where it
	// does not.
	Breakpoint string         `json:"breakpoint,omitempty"`
	Processes  *api.Processes `json:"processes,omitempty"`
}

// NoContent is the error of a request that the supervisor, of an older version,
// does not know.
const NoContent = "a request without content"

// ErrUnreachable means that no supervisor listens: the container has ended, or
// has not begun.
var ErrUnreachable = errors.New("the container's supervisor does not answer")

// Dial connects to the supervisor whose state folder is dir. It waits for a
// supervisor that is just starting until ctx ends, as long as alive says that
// it can still come.
func Dial(ctx context.Context, dir string, alive func() bool) (*net.UnixConn, error) {
	// A state folder's path may be longer than a socket address can be.
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer unix.Close(fd)
	addr := &net.UnixAddr{Net: "unix", Name: filepath.Join("/proc/self/fd", strconv.Itoa(fd), SocketName)}
	for {
		conn, err := net.DialUnix("unix", nil, addr)
		if err == nil {
			return conn, nil
		}
		if !alive() {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Call sends a request and reads its reply.
func Call(ctx context.Context, conn *net.UnixConn, req Request) (Reply, error) {
	var reply Reply
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return reply, err
		}
	}
	if err := api.Write(conn, req); err != nil {
		return reply, fmt.Errorf("ask the supervisor: %w", err)
	}
	if err := api.Read(conn, &reply); err != nil {
		return reply, fmt.Errorf("read the supervisor's answer: %w", err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// PeerPID is the process at the other end, as this PID namespace knows it.
func PeerPID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, fmt.Errorf("ask who is at the other end: %w", credErr)
	}
	return int(cred.Pid), nil
}

// SendFiles sends open files over conn, with one byte.
func SendFiles(conn *net.UnixConn, files ...*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	_, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil)
	return err
}

// ReceiveFiles receives what SendFiles sent: exactly n files.
func ReceiveFiles(conn *net.UnixConn, n int) ([]*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4*n))
	_, oobn, _, _, err := conn.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return nil, fmt.Errorf("receive descriptors: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, fmt.Errorf("receive descriptors: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	if len(files) != n {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("received %d descriptors, expected %d", len(files), n)
	}
	return files, nil
}
