package qemu

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
