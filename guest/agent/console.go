package agent

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
)

// openConsole makes a terminal of the VM's the stage's, and /dev/console in the
// container. PID 1 keeps the kernel's own as that.
func openConsole(o *runOrder) error {
	console, err := unix.Open(o.Console, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the console %s: %w", o.Console, err)
	}
	defer unix.Close(console)
	if size := o.Spec.ConsoleSize; size != nil {
		win := &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)}
		if err := unix.IoctlSetWinsize(console, unix.TIOCSWINSZ, win); err != nil {
			return fmt.Errorf("size the console: %w", err)
		}
	}
	if !o.PID1 {
		if err := rootfs.BindConsole(o.Console); err != nil {
			return err
		}
	}
	return takeTerminal(console, o.PID1)
}

// letGoOfConsole closes the kernel's console in this process, which has it as its
// standard descriptors. Who closes a serial port last waits until everything is
// sent; that has to be the program, whose end hangs the port up.
func letGoOfConsole() error {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return err
		}
	}
	return nil
}

// resizeDevice sets the size of a terminal of the VM's.
func resizeDevice(name string, rows, cols uint16) error {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
}
