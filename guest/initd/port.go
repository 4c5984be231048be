package initd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// portPoll is how often a port is looked for: sysfs has no notification for it.
const portPoll = 2 * time.Millisecond

// openPort opens the virtio-serial port with the name and waits until the host
// has connected to it.
func openPort(name string, timeout time.Duration) (*os.File, error) {
	deadline := time.Now().Add(timeout)
	for {
		path := findPort("/sys/class/virtio-ports", name)
		if path != "" {
			return connectPort(path, deadline)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("there is no virtio-serial port %q after %v", name, timeout)
		}
		time.Sleep(portPoll)
	}
}

// findPort returns the device of the port, or nothing.
func findPort(class, name string) string {
	ports, err := os.ReadDir(class)
	if err != nil {
		return ""
	}
	for _, p := range ports {
		got, err := os.ReadFile(filepath.Join(class, p.Name(), "name"))
		if err == nil && strings.TrimSpace(string(got)) == name {
			return "/dev/" + p.Name()
		}
	}
	return ""
}

// connectPort opens the port. While the host is not connected, poll(2) reports
// a hang-up and reads return the end of the file, so this waits for it.
func connectPort(path string, deadline time.Time) (*os.File, error) {
	// Non-blocking: the driver spins the CPU for a blocking write.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	for err == unix.ENOENT && time.Now().Before(deadline) {
		time.Sleep(portPoll)
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if _, err := unix.Poll(p, 0); err == nil && p[0].Revents&unix.POLLHUP == 0 {
			return os.NewFile(uintptr(fd), path), nil
		}
		if time.Now().After(deadline) {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("the supervisor is not connected to %s", path)
		}
		time.Sleep(portPoll)
	}
}
