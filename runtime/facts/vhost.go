package facts

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

const vhostNetDevice = "/dev/vhost-net"

// vhostGetFeatures is VHOST_GET_FEATURES of include/uapi/linux/vhost.h.
const vhostGetFeatures = 0x8008af00

// probeVHostNet finds out whether a vhost-net device opens for this process and
// is one. Opening the node of a module that is not loaded loads it.
func probeVHostNet(device string) plan.VHostNet {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return plan.VHostNet{Reason: vhostReason(device, err)}
	}
	defer unix.Close(fd)
	if err := askFeatures(fd); err != nil {
		return plan.VHostNet{Reason: fmt.Sprintf("%s opens, but is no vhost device: %v.", device, err)}
	}
	return plan.VHostNet{Usable: true, Reason: device + " opens."}
}

// vhostReason explains why the device does not open.
func vhostReason(device string, err error) string {
	switch {
	case errors.Is(err, unix.ENOENT):
		return device + " does not exist: the host's kernel has no vhost-net, or its module is not loaded (modprobe vhost_net)."
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return device + " has no driver (" + err.Error() + "): its module is not loaded (modprobe vhost_net)."
	case errors.Is(err, unix.EBUSY):
		return device + " is busy (" + err.Error() + ")."
	}
	return deniedReason(device, err)
}

// deniedReason explains why a device that is there does not open.
func deniedReason(device string, err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return device + " is denied (" + err.Error() + "): the device rules of the cgroup do not allow it."
	case errors.Is(err, unix.EACCES):
		return device + " may not be opened by this user (" + err.Error() + ")."
	}
	return device + " cannot be opened: " + err.Error() + "."
}
