package net

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// VHostDevice gives a process a worker of the host's kernel that moves frames
// between a tap and a machine's memory.
const VHostDevice = "/dev/vhost-net"

// ErrNoVHost is wrapped by the error of OpenVHost when the device does not open.
var ErrNoVHost = errors.New("vhost-net is not usable")

// OpenVHost opens a descriptor of /dev/vhost-net for each of n pairs of queues,
// in blocking mode, as QEMU wants them.
func OpenVHost(n int) (_ []*os.File, err error) {
	var files []*os.File
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	for range n {
		fd, err := unix.Open(VHostDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("%w: open %s in the container: %w; let QEMU move the frames (network.vhost = \"off\" in a profile), "+
				"or let the container's cgroup have the device", ErrNoVHost, VHostDevice, err)
		}
		files = append(files, os.NewFile(uintptr(fd), VHostDevice))
	}
	return files, nil
}
