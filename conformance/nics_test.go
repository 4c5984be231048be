package conformance

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// TestNetworkModes has a machine and its container share an address, by each way
// of joining them: on a network of jumbo frames, with both kinds of addresses.
func TestNetworkModes(t *testing.T) {
	for i, mode := range []string{"tc", "bridge"} {
		t.Run(mode, func(t *testing.T) {
			start(t)
			vmOnly(t)
			n := newModeNetwork(t, 40+i)
			vm := background(t, "--network", n.name, "--ip", n.address(9), "--ip6", n.address6(9), "--network-alias", "vm", "--dns", n.address(1),
				"--env", "RUNCVM_NETWORK_MODE="+mode, "--env", "RUNCVM_NETWORK_PORTS=5900-5901 6000/udp",
				probeImage, "probe", "serve", ":7")
			// A container of the VM's own namespace: its stack is the container's.
			backgroundOn(t, "runc", "--network", "container:"+vm.name, probeImage, "probe", "serve", ":5900")
			backgroundOn(t, "runc", "--network", "container:"+vm.name, probeImage, "probe", "serve", ":7")
			peer := backgroundOn(t, "runc", "--network", n.name, "--network-alias", "peer", probeImage, "probe", "serve", ":7")
			echoed := harness.Result{Stdout: "1000000 bytes echoed\n"}

			want(t, vm.exec("sh", "-c", "probe interfaces | cut -d ' ' -f 1,3-"),
				harness.Result{Stdout: fmt.Sprintf("eth0 9000 %s/24 %s/64\n", n.address(9), n.address6(9))})
			want(t, vm.exec("probe", "echo", "peer:7", "1000000"), echoed)
			want(t, peer.exec("probe", "echo", "vm:7", "1000000"), echoed)
			want(t, peer.exec("probe", "echo", "["+n.address6(9)+"]:7", "1000000"), echoed)
			// 28 bytes of headers make the largest frames; they must not be torn.
			for _, c := range []struct {
				from *container
				to   string
			}{{vm, "peer:7"}, {peer, "vm:7"}} {
				want(t, c.from.exec("probe", "datagram", c.to, "8972"), harness.Result{Stdout: "8972 bytes came back\n"})
				if r := c.from.exec("probe", "datagram", c.to, "8973"); r.Code == 0 || !strings.Contains(r.Stderr, "message too long") {
					t.Errorf("a frame above the MTU: %+v", r)
				}
			}
			// Nothing in the guest listens there; what does is the container's.
			want(t, peer.exec("probe", "echo", "vm:5900", "1000000"), echoed)
			want(t, peer.exec("probe", "echo", "["+n.address6(9)+"]:5900", "1000000"), echoed)
			if r := peer.exec("timeout", "10", "bash", "-c", "exec 3<>/dev/tcp/vm/5902"); r.Code != 1 || !strings.Contains(r.Stderr, "Connection refused") {
				t.Errorf("a port that nobody has: %+v", r)
			}
			equal(t, "the upstream's name", strings.Fields(must(t, vm.exec("getent", "ahostsv4", "upstream.example")))[0], "192.0.2.55")
			want(t, vm.exec("probe", "dns", "tcp", "127.0.0.11:53", "vm"), harness.Result{Stdout: n.address(9) + " " + n.address6(9) + "\n"})
			want(t, vm.exec("cat", "/proc/sys/net/ipv4/ip_local_reserved_ports"), harness.Result{Stdout: "5900-5901,6000,61184-61439\n"})
		})
	}
}

// modeNetwork is a network with a resolver on its gateway.
type modeNetwork struct {
	name   string
	number int
}

func newModeNetwork(t *testing.T, number int) modeNetwork {
	t.Helper()
	n := modeNetwork{number: number}
	n.name = newNetwork(t, "--ipv6", "--subnet", fmt.Sprintf("fd12:3456:78%02d::/64", number), "--subnet", n.address(0)+"/24", "--gateway", n.address(1),
		"--opt", "com.docker.network.driver.mtu=9000")
	var server net.PacketConn
	if err := suite.engine.OnHost(func() (err error) {
		server, err = net.ListenPacket("udp4", n.address(1)+":53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go answer(server, net.IPv4(192, 0, 2, 55))
	return n
}

func (n modeNetwork) address(host int) string { return fmt.Sprintf("172.30.%d.%d", n.number, host) }
func (n modeNetwork) address6(host int) string {
	return fmt.Sprintf("fd12:3456:78%02d::%d", n.number, host)
}

// deviceNetworks are networks with an echo server on each.
type deviceNetworks struct {
	t     *testing.T
	names []string
	peers []string // their addresses
}

func newDeviceNetworks(t *testing.T, numbers ...int) *deviceNetworks {
	t.Helper()
	w := &deviceNetworks{t: t}
	for _, n := range numbers {
		name, peer := newNetwork(t, "--subnet", fmt.Sprintf("172.30.%d.0/24", n)), fmt.Sprintf("172.30.%d.7", n)
		backgroundOn(t, "runc", "--network", name, "--ip", peer, probeImage, "probe", "serve", ":7")
		w.names, w.peers = append(w.names, name), append(w.peers, peer)
	}
	return w
}

// machine starts a machine on all the networks.
func (w *deviceNetworks) machine(args ...string) *container {
	w.t.Helper()
	c := &container{t: w.t, name: newName(w.t)}
	must(w.t, docker(w.t, append([]string{"create", "--name", c.name, "--runtime", underTest(), "--network", w.names[0]}, args...)...))
	for _, name := range w.names[1:] {
		must(w.t, docker(w.t, "network", "connect", name, c.name))
	}
	must(w.t, docker(w.t, "start", c.name))
	return c
}

// echo sends the machine's bytes through each of the networks.
func (w *deviceNetworks) echo(c *container) {
	w.t.Helper()
	for _, peer := range w.peers {
		want(w.t, c.exec("probe", "echo", peer+":7", "1000000"), harness.Result{Stdout: "1000000 bytes echoed\n"})
	}
}

// TestNetworkDevices has a machine with two devices that differ.
func TestNetworkDevices(t *testing.T) {
	start(t)
	vmOnly(t)
	w := newDeviceNetworks(t, 42, 43)
	c := w.machine("--cpus", "2", "--env", `RUNCVM_PROFILE=
		network { queues = 1 }
		nic "eth0" {
			mtu    = 1280
			queues = 2
		}
		nic "eth1" { model = "vmxnet3" }`, probeImage, "sleep", "infinity")
	equal(t, "drivers and MTUs", must(t, c.exec("sh", "-c", driversAndMTUs)), "eth0 virtio_net 1280\neth1 vmxnet3 1500\n")
	equal(t, "queues", must(t, c.exec("probe", "channels", "eth0")), "2 of 2\n")
	w.echo(c)
	want(t, c.exec("probe", "datagram", "172.30.42.7:7", "1252"), harness.Result{Stdout: "1252 bytes came back\n"})
	want(t, c.exec("probe", "datagram", "172.30.43.7:7", "1472"), harness.Result{Stdout: "1472 bytes came back\n"})
	if r := c.exec("probe", "datagram", "172.30.42.7:7", "1253"); r.Code == 0 || !strings.Contains(r.Stderr, "message too long") {
		t.Errorf("a frame above the MTU: %+v", r)
	}
}

// driversAndMTUs lists the interfaces.
const driversAndMTUs = `cd /sys/class/net; for i in eth*; do echo $i $(basename $(readlink $i/device/driver)) $(cat $i/mtu); done`

// TestSharedVolume has two machines work on the files of one volume, with a cache
// policy of their own for volumes.
func TestSharedVolume(t *testing.T) {
	start(t)
	vmOnly(t)
	volume, _ := newVolume(t)
	machine := func(options ...string) *container {
		return background(t, append(append([]string{"--volume", volume + ":/shared"}, options...), image, "sleep", "infinity")...)
	}
	one := machine("--env", "RUNCVM_VOLUMES_CACHE=none")
	two := machine("--env", "RUNCVM_VOLUMES_CACHE=none", "--env", "RUNCVM_ROOTFS_READ_ONLY=1", "--env", "RUNCVM_ROOTFS_SUBMOUNTS=0")
	for i := range 3 {
		// At once, unlike what the root's policy would show.
		want(t, one.exec("sh", "-c", fmt.Sprintf("echo %d > /shared/new; mv /shared/new /shared/file", i)), harness.Result{})
		want(t, two.exec("cat", "/shared/file"), harness.Result{Stdout: fmt.Sprintf("%d\n", i)})
		want(t, two.exec("sh", "-c", "rm /shared/file; mkdir /shared/dir"), harness.Result{})
		want(t, one.exec("sh", "-c", "ls /shared; rmdir /shared/dir"), harness.Result{Stdout: "dir\n"})
	}
	equal(t, "the shares", must(t, two.exec("sh", "-c", "for d in /shared /; do findmnt -no SOURCE $d | cut -d[ -f1; done")),
		"runcvm-volumes\nruncvm\n")
	if r := two.exec("touch", "/root/file"); r.Code != 1 || !strings.Contains(r.Stderr, "Read-only file system") {
		t.Errorf("a root that is read-only: %+v", r)
	}
	const devices = "stat -c %d /shared /etc/hosts | uniq | wc -l"
	want(t, one.exec("sh", "-c", devices), harness.Result{Stdout: "2\n"})
	want(t, two.exec("sh", "-c", devices), harness.Result{Stdout: "1\n"})
}

// TestImpossibleInterfaces starts nothing and says why.
func TestImpossibleInterfaces(t *testing.T) {
	vmOnly(t)
	e := alone(t)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for profile, words := range map[string][]string{
		`nic "eth7" { mtu = 1400 }`:                                {`nic "eth7"`, "has eth0"},
		`network { mtu = 9000 }`:                                   {"9000", "1500", "com.docker.network.driver.mtu"},
		`nic "eth0" { model = "rtl8139" }`:                         {"rtl8139", "no driver", "vmxnet3"},
		"nic \"eth0\" {\n model = \"vmxnet3\"\n vhost = \"on\"\n}": {"vhost", "virtio"},
	} {
		oneError(t, run(t, "--env", "RUNCVM_PROFILE="+profile, image, "true"), words...)
	}
	nothingLeft(t, before)
}

// TestNetworkOfARunningContainer connects networks while the container runs, and
// disconnects them, that of the start included.
func TestNetworkOfARunningContainer(t *testing.T) {
	for i, mode := range []string{"tc", "bridge"} {
		t.Run(mode, func(t *testing.T) {
			start(t)
			vmOnly(t)
			w := newDeviceNetworks(t, 48+2*i, 49+2*i)
			first, second := w.names[0], w.names[1]
			peer := backgroundOn(t, "runc", "--network", second, "--network-alias", "peer", probeImage, "probe", "serve", ":7")
			machine := background(t, "--network", first, "--env", "RUNCVM_NETWORK_MODE="+mode, probeImage, "probe", "serve", ":7")
			like := backgroundOn(t, "runc", "--network", first, probeImage, "probe", "serve", ":7")
			// The machine follows a moment later.
			follows := func(what, script string) {
				t.Helper()
				want := must(t, like.exec("sh", "-c", script))
				var got string
				within(t, commandLimit, what, func() bool {
					got = machine.exec("sh", "-c", script).Stdout
					return got == want
				})
			}
			const interfaces = "probe interfaces | cut -d ' ' -f 1,3"
			const routes = "cut -f 1-3,8 /proc/net/route | sort"
			for range 2 {
				for _, c := range []*container{machine, like} {
					must(t, docker(t, "network", "connect", "--alias", "alias-of-"+c.name, second, c.name))
				}
				follows("the second interface", interfaces)
				follows("its routes", routes)
				want(t, machine.exec("probe", "echo", "peer:7", "1000000"), harness.Result{Stdout: "1000000 bytes echoed\n"})
				want(t, peer.exec("probe", "echo", "alias-of-"+machine.name+":7", "1000000"), harness.Result{Stdout: "1000000 bytes echoed\n"})
				w.echo(machine)
				for _, c := range []*container{machine, like} {
					must(t, docker(t, "network", "disconnect", second, c.name))
				}
				follows("one interface", interfaces)
			}
			for _, c := range []*container{machine, like} {
				must(t, docker(t, "network", "connect", second, c.name))
				must(t, docker(t, "network", "disconnect", first, c.name))
			}
			follows("the other interface alone", interfaces)
			want(t, machine.exec("probe", "echo", "peer:7", "1000"), harness.Result{Stdout: "1000 bytes echoed\n"})
		})
	}
}
