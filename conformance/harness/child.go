package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// child is a daemon that ends with this process.
type child struct {
	name string
	log  string
	proc *os.Process
	done chan struct{} // closed when it has ended
	err  error         // how; read after done
}

// startChild starts a program with its output going to the file log.
func startChild(log, name string, args ...string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	// Its own process group keeps a terminal's Ctrl-C from it: Stop ends it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	c := &child{name: name, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends: it has
		// to stay.
		runtime.LockOSThread()
		err := cmd.Start()
		_ = out.Close()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	c.proc = cmd.Process
	return c, nil
}

// await polls ready until it returns nil, the child ends or a minute is over.
func (c *child) await(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended: %w\n%s", c.name, c.err, tail(c.log, 10))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", c.name, err, tail(c.log, 10))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop asks the child to end, and kills it after the limit.
func (c *child) stop(limit time.Duration) error {
	if err := c.proc.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(limit):
		_ = c.proc.Kill()
		<-c.done
		return fmt.Errorf("%s did not end within %s of SIGTERM\n%s", c.name, limit, tail(c.log, 10))
	}
}

// tail returns the last n lines of a file.
func tail(path string, n int) string {
	body, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
