package oci

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that people and service managers send to a verb
// that runs in the foreground. runc takes them for the container.
var forwarded = []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2}

// catchSignals keeps the signals that are meant for runc from ending this
// process before it: there is state to remove behind runc.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	return signals
}

// forwardSignals passes signals on to the process until it has ended.
func forwardSignals(to *os.Process, signals <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case sig := <-signals:
			if fromKeyboard(sig) {
				continue // it is in our process group and has got it, too
			}
			_ = to.Signal(sig) // fails once it has ended
		}
	}
}

// fromKeyboard says whether a terminal sends the signal to our process group.
func fromKeyboard(sig os.Signal) bool {
	if sig != unix.SIGINT && sig != unix.SIGQUIT {
		return false
	}
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false // no controlling terminal
	}
	defer unix.Close(tty)
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
