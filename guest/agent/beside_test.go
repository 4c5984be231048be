package agent

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/internal/testkit"
)

// TestConsoleOutlivesHangUps reads a console whose programs open, close and
// hang it up, and change its modes.
func TestConsoleOutlivesHangUps(t *testing.T) {
	testkit.Require(t, testkit.Root) // hangs a terminal up
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	name, err := unlock(fd)
	if err != nil {
		t.Fatal(err)
	}
	master := pollable(fd)
	got := make(pipeStream, 16)
	o := &output{from: master, to: got, terminal: true, settled: make(chan struct{})}
	o.other = holdOpen(master, true)
	go o.copy()
	for _, hangUp := range []bool{false, true, true, false} {
		terminal, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		modes, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		modes.Oflag |= unix.ONLCR // as inits do
		if err := unix.IoctlSetTermios(terminal, unix.TCSETS, modes); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(terminal, []byte("line\n")); err != nil {
			t.Fatal(err)
		}
		line := got.next(t)
		for !strings.HasSuffix(line, "\n") { // a slow machine has it in two parts
			line += got.next(t)
		}
		if strings.TrimRight(line, "\r\n") != "line" {
			t.Errorf("%q", line)
		}
		if hangUp {
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(terminal), unix.TIOCVHANGUP, 0); errno != 0 {
				t.Fatal(errno)
			}
		}
		_ = unix.Close(terminal)
	}
	o.expectEnd(false, 0)
	<-o.settled
	_ = master.Close()
}

// pipeStream gives a test what is written, write by write.
type pipeStream chan string

func (p pipeStream) Write(b []byte) (int, error) {
	p <- string(b)
	return len(b), nil
}

func (p pipeStream) Read([]byte) (int, error) { select {} }
func (p pipeStream) Close() error             { return nil }

func (p pipeStream) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-p:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

// TestWaitsForSignals has a program that waits in sigtimedwait(2), where its
// masks do not show it.
func TestWaitsForSignals(t *testing.T) {
	testkit.Require(t, testkit.Root) // reads another process's system call
	if _, err := os.ReadFile("/proc/self/syscall"); err != nil {
		t.Skip(err)
	}
	// start runs a program until it is in the system call of that number on x86-64.
	start := func(script, number string) int {
		cmd := exec.Command("perl", "-MPOSIX", "-e", script)
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		testkit.Eventually(t, 30*time.Second, func() error {
			now, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", cmd.Process.Pid))
			if err == nil && !strings.HasPrefix(string(now), number+" ") {
				err = fmt.Errorf("it is in %s", now)
			}
			return err
		})
		return cmd.Process.Pid
	}
	// rt_sigtimedwait, and a set of eight bytes with every signal.
	if !waitsForSignals(start(`my $set = "\xff" x 8; syscall(128, $set, 0, 0, 8)`, "128")) {
		t.Error("a program in sigtimedwait(2) is not known to be")
	}
	// clock_nanosleep
	if waitsForSignals(start(`sleep 100`, "230")) {
		t.Error("one that sleeps is taken for one")
	}
}
