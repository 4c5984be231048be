package vmm

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Child is a program that the supervisor runs: QEMU or virtiofsd. It ends with
// the supervisor.
type Child struct {
	Name string
	cmd  *exec.Cmd
	tail *Tail
	done chan struct{}
}

// Terminal is one that a child draws on.
type Terminal struct {
	File *os.File
	Type string // as of $TERM; empty for xterm
}

// StartChild runs argv, with env beside the search path in its environment, and with files as descriptors 3 and up, of which a nil one is
// left out, and closes them here. What the child prints on stdout and stderr goes to log, and its last
// lines are kept. With a terminal, that is the child's instead, but for stderr.
func StartChild(name string, argv, env []string, files []*os.File, log io.Writer, terminal *Terminal) (*Child, error) {
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	c := &Child{Name: name, tail: NewTail(), done: make(chan struct{})}
	c.cmd = exec.Command(argv[0], argv[1:]...)
	c.cmd.ExtraFiles = files
	c.cmd.Env = append([]string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}, env...)
	c.cmd.Dir = "/"
	out := io.MultiWriter(c.tail, log)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	if terminal != nil {
		c.cmd.Stdin, c.cmd.Stdout = terminal.File, terminal.File
		c.cmd.Env = append(c.cmd.Env, "TERM="+cmp.Or(terminal.Type, "xterm"), "LC_ALL=C.UTF-8")
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = c.cmd.Wait() // ProcessState has what it says
		close(c.done)
	}()
	return c, nil
}

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Kill ends the child and waits for its end.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// ExitedCleanly says that the child ended by itself with exit code 0. Only
// valid once Done is closed.
func (c *Child) ExitedCleanly() bool {
	return c.cmd.ProcessState != nil && c.cmd.ProcessState.Success()
}

// Status is how the child ended. Only valid once Done is closed.
func (c *Child) Status() (status syscall.WaitStatus, ok bool) {
	if c.cmd.ProcessState == nil {
		return 0, false
	}
	status, ok = c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status, ok
}

// Epitaph says how the child ended and its last words, in one line. Only valid
// once Done is closed.
func (c *Child) Epitaph() string {
	how := "ended"
	if ws, ok := c.Status(); ok {
		switch {
		case ws.Signaled():
			how = fmt.Sprintf("was killed by signal %d (%s)", ws.Signal(), ws.Signal())
		case ws.ExitStatus() != 0:
			how = fmt.Sprintf("failed with exit code %d", ws.ExitStatus())
		}
	}
	return c.Name + " " + how + c.tail.Quote()
}

// Tail keeps the last lines that were written to it.
type Tail struct {
	mu  sync.Mutex
	buf []byte
}

// tailSize bounds what a Tail keeps, in bytes.
const tailSize = 4 << 10

// NewTail returns an empty Tail.
func NewTail() *Tail { return &Tail{} }

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - tailSize; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

// Quote renders the last lines for the end of a one-line message; empty when
// nothing was written.
func (t *Tail) Quote() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	const lines = 6
	var last []string
	for line := range bytes.Lines(t.buf) {
		if s := strings.TrimSpace(printable(line)); s != "" {
			last = append(last, s)
		}
	}
	if i := slices.IndexFunc(last, isPanic); i >= 0 {
		last = last[i : i+1] // the trace that follows says less
	}
	if len(last) > lines {
		last = last[len(last)-lines:]
	}
	if len(last) == 0 {
		return ""
	}
	return "; its last words: " + strings.Join(last, " | ")
}

// isPanic recognises the line by which a Linux kernel says why it gives up.
func isPanic(line string) bool { return strings.Contains(line, "Kernel panic - ") }

// printable drops control characters: the guest's console must not steer the
// terminal that shows an error.
func printable(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || (r >= 0x80 && r < 0xa0) {
			return -1
		}
		return r
	}, string(line))
}
