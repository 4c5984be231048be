package agent

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How long after the entrypoint's start a signal waits until the entrypoint is
// ready for it.
const (
	patience = 2 * time.Second
	// initPatience is for an init, which does not fail to set its handlers but
	// has much to do before.
	initPatience = 30 * time.Second
)

// awaitHandler waits until the container's PID 1 would take notice of a signal,
// and not beyond the deadline. The kernel drops what a PID 1 has no handler for, so
// a stop that follows at once upon a start would be lost: a program takes its
// time under emulation until it has set its handlers. A program that never
// does is not kept waiting for long, nor is SIGKILL.
func awaitHandler(pid int, deadline time.Time, sig unix.Signal) {
	for sig != unix.SIGKILL && sig != unix.SIGSTOP && time.Now().Before(deadline) && dropped(pid, sig) {
		time.Sleep(5 * time.Millisecond)
	}
}

// dropped says whether a signal would be lost on a PID 1: it is neither caught
// nor blocked, nor waited for. See proc(5) for the masks.
func dropped(pid int, sig unix.Signal) bool {
	if waitsForSignals(pid) {
		return false
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false // it has ended
	}
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "SigBlk", "SigIgn", "SigCgt":
			mask, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
			if err != nil || mask&(1<<(sig-1)) != 0 {
				return false
			}
		}
	}
	return true
}

// waitsForSignals says whether the process is in sigtimedwait(2), as busybox
// init mostly is: the masks then show as not blocked what it waits for.
func waitsForSignals(pid int) bool {
	call, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/syscall")
	return err == nil && bytes.HasPrefix(call, strconv.AppendInt(nil, unix.SYS_RT_SIGTIMEDWAIT, 10)) &&
		bytes.HasPrefix(bytes.TrimLeft(call, "0123456789"), []byte(" "))
}
