package qemu

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAgentDevices(t *testing.T) {
	for name, test := range map[string]struct{ got, want []string }{
		"port": {AgentPort(PCI, 5), []string{
			"-chardev", "socket,id=agent,fd=5",
			"-device", `{"driver":"virtio-serial-pci","id":"serial","max_ports":2}`,
			"-device", `{"driver":"virtserialport","id":"agentport","bus":"serial.0","nr":1,"chardev":"agent","name":"org.runcvm.agent.0"}`,
		}},
		"port of a microvm": {AgentPort(MMIO, 5), []string{
			"-chardev", "socket,id=agent,fd=5",
			"-device", `{"driver":"virtio-serial-device","id":"serial","max_ports":2}`,
			"-device", `{"driver":"virtserialport","id":"agentport","bus":"serial.0","nr":1,"chardev":"agent","name":"org.runcvm.agent.0"}`,
		}},
		"vsock of a microvm": {AgentVsock(MMIO, 9, 5), []string{
			"-device", `{"driver":"vhost-vsock-device","id":"vsock","guest-cid":9,"vhostfd":"5"}`,
		}},
		"vsock": {AgentVsock(PCI, 1<<31-1, 5), []string{
			"-device", `{"driver":"vhost-vsock-pci","id":"vsock","guest-cid":2147483647,"vhostfd":"5"}`,
		}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
