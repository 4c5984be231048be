package qemu

import (
	"encoding/json"
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
	got := NIC(1, `02:42:"},<&>`, 8, 1500)
	if len(got) != 4 || got[0] != "-netdev" || got[2] != "-device" {
		t.Fatalf("arguments %q", got)
	}
	if want := `{"type":"tap","id":"net1","fd":"8","vhost":false}`; got[1] != want {
		t.Errorf("netdev %s, want %s", got[1], want)
	}
	var device map[string]any
	if err := json.Unmarshal([]byte(got[3]), &device); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"driver": "virtio-net-pci", "id": "nic1", "netdev": "net1", "mac": `02:42:"},<&>`, "host_mtu": 1500.0, "romfile": ""}
	if diff := cmp.Diff(want, device); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, mtu := range []int{0, 67, 65536} {
		if args := NIC(0, "", 7, mtu); strings.Contains(args[3], "host_mtu") {
			t.Errorf("an MTU of %d is told to the guest: %s", mtu, args[3])
		}
	}
}
