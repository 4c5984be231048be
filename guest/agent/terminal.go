package agent

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
)

// openTerminal makes a terminal the stage's standard descriptors and, but for
// the VM's PID 1, its controlling terminal, and sends its master to the agent. It comes from the
// container's own devpts, so that its name is right for the program.
func (s *stage) openTerminal(o *runOrder) error {
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("allocate a terminal from /dev/pts: %w", err)
	}
	defer unix.Close(master)
	name, err := unlock(master)
	if err != nil {
		return fmt.Errorf("unlock the terminal: %w", err)
	}
	if size := o.Spec.ConsoleSize; size != nil {
		win := &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)}
		if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, win); err != nil {
			return fmt.Errorf("size the terminal: %w", err)
		}
	}
	slave, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the terminal %s: %w", name, err)
	}
	defer unix.Close(slave)
	if o.PlainNewlines {
		if err := clearONLCR(slave); err != nil {
			return fmt.Errorf("set the terminal's modes: %w", err)
		}
	}
	if o.Init {
		if err := rootfs.BindConsole(name); err != nil {
			return err
		}
	}
	if !o.Spec.Terminal {
		if err := makeLog(slave); err != nil {
			return fmt.Errorf("set the console's modes: %w", err)
		}
	}
	if err := takeTerminal(slave, o.PID1); err != nil {
		return err
	}
	return s.channel.send(report{Terminal: true}, master)
}

// takeTerminal makes an open terminal the standard descriptors and, but for the
// VM's PID 1, the controlling terminal.
func takeTerminal(terminal int, pid1 bool) error {
	if !pid1 {
		if err := unix.IoctlSetInt(terminal, unix.TIOCSCTTY, 0); err != nil {
			return fmt.Errorf("take the terminal: %w", err)
		}
	}
	for fd := range 3 {
		if err := unix.Dup3(terminal, fd, 0); err != nil {
			return fmt.Errorf("connect descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// makeLog makes a terminal carry what programs write and nothing else: no CR
// before a new line, nothing of what comes in. Inits set their console's modes:
// these stay.
func makeLog(terminal int) error {
	modes, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
	if err != nil {
		return err
	}
	modes.Oflag &^= unix.ONLCR
	modes.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(terminal, unix.TCSETS, modes); err != nil {
		return err
	}
	return unix.IoctlSetTermios(terminal, unix.TIOCSLCKTRMIOS, &unix.Termios{Oflag: unix.ONLCR, Lflag: unix.ECHO})
}

// clearONLCR makes the terminal write a new line as LF alone.
func clearONLCR(terminal int) error {
	modes, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
	if err != nil {
		return err
	}
	modes.Oflag &^= unix.ONLCR
	return unix.IoctlSetTermios(terminal, unix.TCSETS, modes)
}

// unlock makes the terminal's other side usable and returns its name.
func unlock(master int) (string, error) {
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return "", err
	}
	n, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err != nil {
		return "", err
	}
	return "/dev/pts/" + strconv.FormatUint(uint64(n), 10), nil
}
