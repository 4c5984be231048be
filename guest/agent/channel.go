package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

// order is what the agent tells a stage: one of its fields.
type order struct {
	Share *shareOrder    `json:"share,omitempty"` // first process only: mount the share
	Root  *rootfs.Config `json:"root,omitempty"`  // first process only: make the root and enter it
	Run   *runOrder      `json:"run,omitempty"`   // become the program; the stage's last order
}

type shareOrder struct {
	Tag string `json:"tag"`
	Dir string `json:"dir"`
}

// runOrder comes with descriptors: the container's mount namespace unless Init,
// then one for each of Stdio.
type runOrder struct {
	PlainNewlines bool          `json:"plain_newlines,omitempty"`
	Init          bool          `json:"init,omitempty"`
	Console       string        `json:"console,omitempty"` // see api.Process
	PID1          bool          `json:"pid1,omitempty"`    // the VM's, see StagePID1
	Stdio         []int         `json:"stdio,omitempty"`   // descriptors to become these
	Spec          specs.Process `json:"spec"`
	// Filter is that of the program's system calls; nil for none.
	Filter *api.SyscallFilter `json:"filter,omitempty"`
}

// report is a stage's answer. An empty one says that the order was carried out.
type report struct {
	Failed *api.Failed `json:"failed,omitempty"`
	// Terminal: the message carries the terminal's master.
	Terminal bool `json:"terminal,omitempty"`
	// Executing: execve follows. The channel closes when it succeeds.
	Executing bool `json:"executing,omitempty"`
}

// channel is an end of a stream socket between the agent and a stage. Messages
// are framed as on the wire and may carry descriptors.
type channel struct {
	fd int
}

// newChannel returns the agent's end and the stage's.
func newChannel() (ours, theirs channel, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ours, theirs, fmt.Errorf("make the channel to a process: %w", err)
	}
	return channel{fds[0]}, channel{fds[1]}, nil
}

func (c channel) close() { _ = unix.Close(c.fd) }

// maxFDs is how many descriptors one message carries at most.
const maxFDs = 4

// send sends a message. Go does not end a program of SIGPIPE for such a descriptor.
func (c channel) send(v any, fds ...int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	frame = append(frame, body...)
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for len(frame) > 0 {
		var n int
		if oob == nil { // a call that a stage's own filter lets through
			n, err = unix.Write(c.fd, frame)
		} else {
			n, err = unix.SendmsgN(c.fd, frame, oob, nil, unix.MSG_NOSIGNAL)
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		frame, oob = frame[n:], nil
	}
	return nil
}

// receive receives a message and its descriptors, which are closed on exec. It
// returns io.EOF when the other end has closed.
func (c channel) receive(v any) ([]int, error) {
	var head [4]byte
	oob := make([]byte, unix.CmsgSpace(4*maxFDs))
	n, fds, err := c.receiveFDs(head[:], oob)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	if _, err := io.ReadFull(c, head[n:]); err != nil {
		return fds, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		return fds, err
	}
	return fds, json.Unmarshal(body, v)
}

func (c channel) receiveFDs(head, oob []byte) (int, []int, error) {
	for {
		n, oobn, _, _, err := unix.Recvmsg(c.fd, head, oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECONNRESET {
			return 0, nil, io.EOF
		}
		if err != nil || oobn == 0 {
			return n, nil, err
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return n, nil, err
		}
		var fds []int
		for i := range messages {
			more, err := unix.ParseUnixRights(&messages[i])
			if err != nil {
				return n, fds, err
			}
			fds = append(fds, more...)
		}
		return n, fds, nil
	}
}

// Read reads raw bytes of a message's rest.
func (c channel) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(c.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
}
