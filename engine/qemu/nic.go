package qemu

import (
	"strconv"
	"strings"
)

// VirtioNet is a network interface.
type VirtioNet struct {
	Bus    Bus    `json:"-"`
	ID     string `json:"id"`
	Netdev string `json:"netdev"`
	MAC    string `json:"mac"`
	MTU    int    `json:"host_mtu,omitempty"` // bytes; 0 leaves it to the guest
	MQ     bool   `json:"mq,omitempty"`
	// Vectors is the number of MSI-X interrupts: two for each pair of queues, one
	// for the control queue, one for the configuration. 0 is QEMU's own choice, and
	// all that there is on another bus than PCI.
	Vectors int `json:"vectors,omitempty"`
	// ROMFile is empty so that the firmware loads no network boot code; nil on
	// another bus than PCI.
	ROMFile *string `json:"romfile,omitempty"`
}

func (d VirtioNet) driver() string { return d.Bus.driver("virtio-net") }

// EmulatedNIC is a network device that is modelled on hardware.
type EmulatedNIC struct {
	Driver string `json:"-"`
	ID     string `json:"id"`
	Netdev string `json:"netdev"`
	MAC    string `json:"mac"`
	// ROMFile is empty so that the firmware loads no network boot code.
	ROMFile string `json:"romfile"`
}

func (n EmulatedNIC) driver() string { return n.Driver }

// NetdevTap is an open tap: FD, or FDs for several pairs of queues, and the
// descriptors of vhost-net likewise. Those with an s are numbers joined by
// colons.
type NetdevTap struct {
	ID       string `json:"id"`
	FD       string `json:"fd,omitempty"`
	FDs      string `json:"fds,omitempty"`
	VHost    bool   `json:"vhost"`
	VHostFD  string `json:"vhostfd,omitempty"`
	VHostFDs string `json:"vhostfds,omitempty"`
	// VHostForce makes QEMU fail, and not move the frames itself, when vhost-net
	// does not start.
	VHostForce bool `json:"vhostforce,omitempty"`
}

func (NetdevTap) netdevType() string { return "tap" }

// maxHostMTU is the largest value of virtio-net's host_mtu.
const maxHostMTU = 65535

// model is a network device that the guest may have: QEMU's name of the driver,
// and the largest MTU, in bytes, that both the device and Linux's driver for it
// take.
type model struct {
	driver string // empty for virtio's, whose name is the bus's
	mtu    int
}

var models = map[string]model{
	"virtio":  {"", maxHostMTU},
	"vmxnet3": {"vmxnet3", 9000},
	"e1000e":  {"e1000e", 9216},
	"e1000":   {"e1000", 16110},
	"rtl8139": {"rtl8139", 1500},
}

// MaxMTU is the largest MTU, in bytes, of a model of network devices.
func MaxMTU(name string) int { return models[name].mtu }

// NIC is a network interface that the supervisor adds to the plan's arguments.
type NIC struct {
	Bus   Bus
	Index int    // from 0
	Model string // as network.model has it
	MAC   string // the hardware address
	MTU   int    // bytes; what virtio-net cannot tell the guest is left out
	// Queues is the number of pairs of queues, at least 1.
	Queues int
	VHost  bool
	// FirstFD is the number of the first descriptor that QEMU inherits for it:
	// a tap's for each pair of queues, then, with VHost, as many of vhost-net.
	FirstFD int
}

// FDs is the number of descriptors that QEMU inherits for the interface.
func (n NIC) FDs() int {
	if n.VHost {
		return 2 * n.Queues
	}
	return n.Queues
}

// Args are QEMU's arguments for the interface.
func (n NIC) Args() []string {
	id := "net" + strconv.Itoa(n.Index)
	mtu := n.MTU
	if mtu < 68 || mtu > maxHostMTU {
		mtu = 0
	}
	tap := NetdevTap{ID: id, VHost: n.VHost, VHostForce: n.VHost}
	nic := "nic" + strconv.Itoa(n.Index)
	device := VirtioNet{Bus: n.Bus, ID: nic, Netdev: id, MAC: n.MAC, MTU: mtu}
	if n.Bus != MMIO {
		device.ROMFile = new(string)
	}
	taps, vhosts := numbers(n.FirstFD, n.Queues), ""
	if n.VHost {
		vhosts = numbers(n.FirstFD+n.Queues, n.Queues)
	}
	if n.Queues > 1 {
		tap.FDs, tap.VHostFDs = taps, vhosts
		device.MQ = true
		if n.Bus != MMIO { // which has one interrupt for a device
			device.Vectors = 2*n.Queues + 2
		}
	} else {
		tap.FD, tap.VHostFD = taps, vhosts
	}
	var c CommandLine
	c.Netdev(tap)
	if m := models[n.Model]; m.driver == "" {
		c.Device(device)
	} else {
		c.Device(EmulatedNIC{Driver: m.driver, ID: nic, Netdev: id, MAC: n.MAC})
	}
	return c.Args()
}

// numbers lists n descriptors as QEMU does: 7:8:9.
func numbers(first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(first + i)
	}
	return strings.Join(list, ":")
}
