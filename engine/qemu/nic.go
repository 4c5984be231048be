package qemu

import (
	"encoding/json"
	"strconv"
	"strings"
)

// VirtioNet is a network interface.
type VirtioNet struct {
	On     Bus    `json:"-"` // the kind of bus
	ID     string `json:"id"`
	Netdev string `json:"netdev"`
	Bus    string `json:"bus,omitempty"`
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

func (d VirtioNet) driver() string { return d.On.driver("virtio-net") }

// EmulatedNIC is a network device that is modelled on hardware.
type EmulatedNIC struct {
	Driver string `json:"-"`
	ID     string `json:"id"`
	Netdev string `json:"netdev"`
	Bus    string `json:"bus,omitempty"`
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
	On    Bus    // the kind of bus
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
	var vhosts []string
	if n.VHost {
		vhosts = numbers(n.FirstFD+n.Queues, n.Queues)
	}
	netdev, device := n.parts("", numbers(n.FirstFD, n.Queues), vhosts)
	var c CommandLine
	c.Netdev(netdev)
	c.Device(device)
	return c.Args()
}

// HotNIC is an interface for a machine that runs, as QMP has it.
type HotNIC struct {
	NetdevID, DeviceID string
	Taps, VHosts       []string        // the names of descriptors to be handed to QEMU first
	Netdev             json.RawMessage // the arguments of netdev_add
	Device             json.RawMessage // the arguments of device_add
}

// Hot describes the interface for the empty bus, a PCIe port's. FirstFD is of no
// effect.
func (n NIC) Hot(bus string) HotNIC {
	h := HotNIC{NetdevID: n.netdevID(), DeviceID: n.deviceID()}
	for i := range n.Queues {
		h.Taps = append(h.Taps, h.NetdevID+"tap"+strconv.Itoa(i))
		if n.VHost {
			h.VHosts = append(h.VHosts, h.NetdevID+"vhost"+strconv.Itoa(i))
		}
	}
	netdev, device := n.parts(bus, h.Taps, h.VHosts)
	h.Netdev = json.RawMessage(object("type", netdev.netdevType(), netdev))
	h.Device = json.RawMessage(object("driver", device.driver(), device))
	return h
}

func (n NIC) netdevID() string { return "net" + strconv.Itoa(n.Index) }
func (n NIC) deviceID() string { return "nic" + strconv.Itoa(n.Index) }

// parts are the interface's two halves, with descriptors by number or name.
func (n NIC) parts(bus string, taps, vhosts []string) (Netdev, Device) {
	mtu := n.MTU
	if mtu < 68 || mtu > maxHostMTU {
		mtu = 0
	}
	tap := NetdevTap{ID: n.netdevID(), VHost: n.VHost, VHostForce: n.VHost}
	device := VirtioNet{On: n.On, ID: n.deviceID(), Netdev: tap.ID, Bus: bus, MAC: n.MAC, MTU: mtu}
	if n.On != MMIO {
		device.ROMFile = new(string)
	}
	if n.Queues > 1 {
		tap.FDs, tap.VHostFDs = strings.Join(taps, ":"), strings.Join(vhosts, ":")
		device.MQ = true
		if n.On != MMIO { // which has one interrupt for a device
			device.Vectors = 2*n.Queues + 2
		}
	} else {
		tap.FD, tap.VHostFD = strings.Join(taps, ""), strings.Join(vhosts, "")
	}
	if m := models[n.Model]; m.driver != "" {
		return tap, EmulatedNIC{Driver: m.driver, ID: device.ID, Netdev: tap.ID, Bus: bus, MAC: n.MAC}
	}
	return tap, device
}

// numbers lists n descriptors from first on.
func numbers(first, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(first + i)
	}
	return list
}

// PCIeRootPort is a slot for one device, which may come later: the root bus takes
// none while the machine runs.
type PCIeRootPort struct {
	ID      string `json:"id"`
	Bus     string `json:"bus"`
	Addr    string `json:"addr,omitempty"` // on the bus; QEMU chooses one of the others
	Chassis int    `json:"chassis"`        // its number, which no other has
	// IOReserve is how many I/O ports are kept for it; nil for as many as the
	// device has.
	IOReserve *int `json:"io-reserve,omitempty"`
}

func (PCIeRootPort) driver() string { return "pcie-root-port" }

// Slot is the name of the PCIe port number i, from 0.
func Slot(i int) string { return "slot" + strconv.Itoa(i) }
