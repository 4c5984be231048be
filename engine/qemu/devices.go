package qemu

import (
	"strconv"
	"strings"
)

// Device is a -device. Properties have QEMU's names.
type Device interface{ driver() string }

// Object is an -object.
type Object interface{ qomType() string }

// Netdev is a -netdev.
type Netdev interface{ netdevType() string }

// MemoryBackendMemfd is RAM in an anonymous file, which a vhost-user process
// can map.
type MemoryBackendMemfd struct {
	ID          string `json:"id"`
	Size        int64  `json:"size"` // bytes
	Share       bool   `json:"share"`
	Prealloc    bool   `json:"prealloc,omitempty"`
	HugeTLB     bool   `json:"hugetlb,omitempty"`
	HugeTLBSize int64  `json:"hugetlbsize,omitempty"` // of a page, in bytes
}

func (MemoryBackendMemfd) qomType() string { return "memory-backend-memfd" }

// MemoryBackendFile is RAM in a file that QEMU makes in a folder, and removes.
type MemoryBackendFile struct {
	ID       string `json:"id"`
	Size     int64  `json:"size"` // bytes
	Share    bool   `json:"share"`
	Prealloc bool   `json:"prealloc,omitempty"`
	MemPath  string `json:"mem-path"`
}

func (MemoryBackendFile) qomType() string { return "memory-backend-file" }

// ISASerial is a serial port of a PC.
type ISASerial struct {
	ID      string `json:"id"`
	Chardev string `json:"chardev"`
	Index   int    `json:"index"` // from 0, which is COM1
}

func (ISASerial) driver() string { return "isa-serial" }

// ISADebugcon is a port to which the firmware writes.
type ISADebugcon struct {
	ID      string `json:"id"`
	Chardev string `json:"chardev"`
	IOBase  int    `json:"iobase"`
}

func (ISADebugcon) driver() string { return "isa-debugcon" }

// VirtioSerial is the bus of VirtSerialPort.
type VirtioSerial struct {
	Bus      Bus    `json:"-"`
	ID       string `json:"id"`
	MaxPorts int    `json:"max_ports"`
}

func (d VirtioSerial) driver() string { return d.Bus.driver("virtio-serial") }

// VirtSerialPort is a byte stream that the guest finds by Name.
type VirtSerialPort struct {
	ID      string `json:"id"`
	Bus     string `json:"bus"`
	Nr      int    `json:"nr"`
	Chardev string `json:"chardev"`
	Name    string `json:"name"`
}

func (VirtSerialPort) driver() string { return "virtserialport" }

// VhostUserFS is a virtiofs device served by a virtiofsd behind Chardev.
type VhostUserFS struct {
	Bus       Bus    `json:"-"`
	ID        string `json:"id"`
	Chardev   string `json:"chardev"`
	Tag       string `json:"tag"`
	QueueSize int    `json:"queue-size"`
}

func (d VhostUserFS) driver() string { return d.Bus.driver("vhost-user-fs") }

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

// NIC is a network interface that the supervisor adds to the plan's arguments.
type NIC struct {
	Bus   Bus
	Index int    // from 0
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
	device := VirtioNet{Bus: n.Bus, ID: "nic" + strconv.Itoa(n.Index), Netdev: id, MAC: n.MAC, MTU: mtu}
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
	c.Device(device)
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
