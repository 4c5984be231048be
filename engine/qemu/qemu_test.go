package qemu

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandLine(t *testing.T) {
	var c CommandLine
	c.Flag("nodefaults")
	c.Value("append", "a,b c=d")
	c.Properties("machine", "q35", Property{"x", "1,readonly=on"}, Number("n", 2))
	c.Properties("smp", "", Number("cpus", 2))
	c.Socket("qmp", 3)
	c.Object(MemoryBackendMemfd{ID: "ram", Size: 1, Share: true})
	want := []string{
		"-nodefaults",
		"-append", "a,b c=d",
		"-machine", "q35,x=1,,readonly=on,n=2",
		"-smp", "cpus=2",
		"-chardev", "socket,id=qmp,fd=3",
		"-object", `{"qom-type":"memory-backend-memfd","id":"ram","size":1,"share":true}`,
	}
	if diff := cmp.Diff(want, c.Args()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNIC(t *testing.T) {
	nic := NIC{Index: 1, Model: "virtio", MAC: `02:42:"},<&>`, MTU: 1500, Queues: 1, FirstFD: 8}
	tests := []struct {
		name   string
		queues int
		vhost  bool
		fds    int
		netdev string
		device map[string]any // beside those that all have
	}{
		{"plain", 1, false, 1, `{"type":"tap","id":"net1","fd":"8","vhost":false}`, nil},
		{"vhost", 1, true, 2, `{"type":"tap","id":"net1","fd":"8","vhost":true,"vhostfd":"9","vhostforce":true}`, nil},
		{"queues", 3, false, 3, `{"type":"tap","id":"net1","fds":"8:9:10","vhost":false}`, map[string]any{"mq": true, "vectors": 8.0}},
		{
			"vhost with queues", 2, true, 4,
			`{"type":"tap","id":"net1","fds":"8:9","vhost":true,"vhostfds":"10:11","vhostforce":true}`,
			map[string]any{"mq": true, "vectors": 6.0},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := nic
			n.Queues, n.VHost = test.queues, test.vhost
			got := n.Args()
			if len(got) != 4 || got[0] != "-netdev" || got[2] != "-device" {
				t.Fatalf("arguments %q", got)
			}
			if got[1] != test.netdev {
				t.Errorf("netdev %s, want %s", got[1], test.netdev)
			}
			if n.FDs() != test.fds {
				t.Errorf("%d descriptors, want %d", n.FDs(), test.fds)
			}
			var device map[string]any
			if err := json.Unmarshal([]byte(got[3]), &device); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"driver": "virtio-net-pci", "id": "nic1", "netdev": "net1", "mac": nic.MAC, "host_mtu": 1500.0, "romfile": ""}
			maps.Copy(want, test.device)
			if diff := cmp.Diff(want, device); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	t.Run("microvm", func(t *testing.T) {
		n := nic
		n.On, n.Queues, n.MAC = MMIO, 2, "02:42:00:00:00:01"
		// One interrupt, and no memory of its own for a boot program.
		const want = `{"driver":"virtio-net-device","id":"nic1","netdev":"net1","mac":"02:42:00:00:00:01","host_mtu":1500,"mq":true}`
		if got := n.Args(); got[3] != want {
			t.Errorf("got %s, want %s", got[3], want)
		}
	})
	for _, mtu := range []int{0, 67, 65536} {
		n := nic
		n.MTU = mtu
		if args := n.Args(); strings.Contains(args[3], "host_mtu") {
			t.Errorf("an MTU of %d is told to the guest: %s", mtu, args[3])
		}
	}
}

func TestHotNIC(t *testing.T) {
	nic := NIC{Index: 5, Model: "virtio", MAC: "02:42:ac:11:00:05", MTU: 1400, Queues: 2, VHost: true}
	want := HotNIC{
		NetdevID: "net5", DeviceID: "nic5",
		Taps: []string{"net5tap0", "net5tap1"}, VHosts: []string{"net5vhost0", "net5vhost1"},
		Netdev: json.RawMessage(`{"type":"tap","id":"net5","fds":"net5tap0:net5tap1","vhost":true,"vhostfds":"net5vhost0:net5vhost1","vhostforce":true}`),
		Device: json.RawMessage(`{"driver":"virtio-net-pci","id":"nic5","netdev":"net5","bus":"slot1","mac":"02:42:ac:11:00:05","host_mtu":1400,"mq":true,"vectors":6,"romfile":""}`),
	}
	if diff := cmp.Diff(want, nic.Hot(Slot(1))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	nic.Model, nic.Queues, nic.VHost = "e1000e", 1, false
	hot := nic.Hot(Slot(0))
	equal := `{"driver":"e1000e","id":"nic5","netdev":"net5","bus":"slot0","mac":"02:42:ac:11:00:05","romfile":""}`
	if string(hot.Device) != equal || len(hot.Taps) != 1 || hot.VHosts != nil {
		t.Errorf("got %s, %v, %v", hot.Device, hot.Taps, hot.VHosts)
	}
}
