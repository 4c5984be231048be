package install

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// lastLines is how many lines of a failed command's output an error shows.
const lastLines = 15

// commandError is pasteable: the command, how it ended, its last words.
type commandError struct {
	args   []string
	output []byte
	err    error
}

func (e *commandError) Error() string {
	lines := strings.Split(strings.TrimSpace(string(e.output)), "\n")
	lines = lines[max(0, len(lines)-lastLines):]
	return fmt.Sprintf("%s: %v\n  %s", strings.Join(e.args, " "), e.err, strings.Join(lines, "\n  "))
}

func (e *commandError) Unwrap() error { return e.err }

// run runs a command and returns what it printed on stdout.
func run(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var t transcript
	cmd.Stdout = stream{to: &t, stdout: true}
	cmd.Stderr = stream{to: &t}
	// Were the installer killed, apt must not go on alone.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, &commandError{args: cmd.Args, output: t.all.Bytes(), err: err}
	}
	return t.stdout.Bytes(), nil
}

// transcript collects stdout and stderr as they arrive, and stdout once more
// by itself. os/exec writes each from a goroutine of its own.
type transcript struct {
	mu          sync.Mutex
	all, stdout bytes.Buffer
}

type stream struct {
	to     *transcript
	stdout bool
}

func (s stream) Write(p []byte) (int, error) {
	s.to.mu.Lock()
	defer s.to.mu.Unlock()
	if s.stdout {
		s.to.stdout.Write(p)
	}
	return s.to.all.Write(p)
}
