package facts

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestProbeVHostNet(t *testing.T) {
	for device, says := range map[string]string{
		filepath.Join(t.TempDir(), "vhost-net"): "does not exist",
		"/dev/null":                             "is no vhost device",
	} {
		if got := probeVHostNet(device); got.Usable || !strings.Contains(got.Reason, says) || !strings.HasPrefix(got.Reason, device) {
			t.Errorf("%s: got %+v, want %q", device, got, says)
		}
	}
}

func TestVHostReasons(t *testing.T) {
	for err, says := range map[unix.Errno]string{
		unix.ENOENT: "does not exist",
		unix.ENODEV: "modprobe vhost_net",
		unix.EPERM:  "device rules of the cgroup",
		unix.EACCES: "may not be opened by this user",
		unix.EBUSY:  "is busy",
		unix.EMFILE: "too many open files",
	} {
		if got := vhostReason(vhostNetDevice, err); !strings.Contains(got, says) || !strings.HasPrefix(got, vhostNetDevice) {
			t.Errorf("%v: got %q", err, got)
		}
	}
}
