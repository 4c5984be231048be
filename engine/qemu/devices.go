package qemu

import "strconv"

// Device is a -device. Properties have QEMU's names.
type Device interface{ driver() string }

// Object is an -object.
type Object interface{ qomType() string }

// Netdev is a -netdev.
type Netdev interface{ netdevType() string }

// MemoryBackendMemfd is RAM in an anonymous file, which a vhost-user process
// can map.
type MemoryBackendMemfd struct {
	ID    string `json:"id"`
	Size  int64  `json:"size"` // bytes
	Share bool   `json:"share"`
}

func (MemoryBackendMemfd) qomType() string { return "memory-backend-memfd" }

// RNGRandom is the host's random device.
type RNGRandom struct {
	ID       string `json:"id"`
	Filename string `json:"filename"`
}

func (RNGRandom) qomType() string { return "rng-random" }

// VirtioSerialPCI is the bus of VirtSerialPort.
type VirtioSerialPCI struct {
	ID       string `json:"id"`
	MaxPorts int    `json:"max_ports"`
}

func (VirtioSerialPCI) driver() string { return "virtio-serial-pci" }

// VirtSerialPort is a byte stream that the guest finds by Name.
type VirtSerialPort struct {
	ID      string `json:"id"`
	Bus     string `json:"bus"`
	Nr      int    `json:"nr"`
	Chardev string `json:"chardev"`
	Name    string `json:"name"`
}

func (VirtSerialPort) driver() string { return "virtserialport" }

// VhostUserFSPCI is a virtiofs device served by a virtiofsd behind Chardev.
type VhostUserFSPCI struct {
	ID        string `json:"id"`
	Chardev   string `json:"chardev"`
	Tag       string `json:"tag"`
	QueueSize int    `json:"queue-size"`
}

func (VhostUserFSPCI) driver() string { return "vhost-user-fs-pci" }

// VirtioRNGPCI gives the guest random bytes of RNG.
type VirtioRNGPCI struct {
	ID  string `json:"id"`
	RNG string `json:"rng"`
}

func (VirtioRNGPCI) driver() string { return "virtio-rng-pci" }

// VirtioNetPCI is a network interface.
type VirtioNetPCI struct {
	ID     string `json:"id"`
	Netdev string `json:"netdev"`
	MAC    string `json:"mac"`
	MTU    int    `json:"host_mtu,omitempty"` // bytes; 0 leaves it to the guest
	// ROMFile is empty so that the firmware loads no network boot code.
	ROMFile string `json:"romfile"`
}

func (VirtioNetPCI) driver() string { return "virtio-net-pci" }

// NetdevTap is an open tap.
type NetdevTap struct {
	ID    string `json:"id"`
	FD    string `json:"fd"` // a descriptor's number
	VHost bool   `json:"vhost"`
}

func (NetdevTap) netdevType() string { return "tap" }

// maxHostMTU is the largest value of virtio-net's host_mtu.
const maxHostMTU = 65535

// NIC returns the arguments of the network interface number index, from 0,
// which the supervisor adds to the plan's: a tap, inherited as the descriptor
// fd, and a virtio-net device. MTU is in bytes; values beyond what virtio-net
// can tell the guest are left to the guest's own configuration.
func NIC(index int, mac string, fd, mtu int) []string {
	id := "net" + strconv.Itoa(index)
	if mtu < 68 || mtu > maxHostMTU {
		mtu = 0
	}
	var c CommandLine
	c.Netdev(NetdevTap{ID: id, FD: strconv.Itoa(fd)})
	c.Device(VirtioNetPCI{ID: "nic" + strconv.Itoa(index), Netdev: id, MAC: mac, MTU: mtu})
	return c.Args()
}
