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
	ID       string `json:"id"`
	Size     int64  `json:"size"` // bytes
	Share    bool   `json:"share"`
	Prealloc bool   `json:"prealloc,omitempty"`
	HugeTLB  bool   `json:"hugetlb,omitempty"`
	// Reserve, when false, takes nothing of the host before it is used.
	Reserve     *bool `json:"reserve,omitempty"`
	HugeTLBSize int64 `json:"hugetlbsize,omitempty"` // of a page, in bytes
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

// VFIO is a PCI device of the host.
type VFIO struct {
	ID   string `json:"id"`
	Bus  string `json:"bus"`
	Host string `json:"host"` // DOMAIN:BUS:DEVICE.FUNCTION
}

func (VFIO) driver() string { return "vfio-pci" }

// VirtioBalloon takes memory from the guest when it is asked to.
type VirtioBalloon struct {
	Bus Bus    `json:"-"`
	ID  string `json:"id"`
}

func (d VirtioBalloon) driver() string { return d.Bus.driver("virtio-balloon") }

// VirtioMem is memory beyond the machine's RAM, of which the guest has as much as
// was asked for: at first nothing.
type VirtioMem struct {
	ID     string `json:"id"`
	MemDev string `json:"memdev"` // the ID of an Object
	// Prealloc takes each block from the host when the guest gets it.
	Prealloc bool `json:"prealloc,omitempty"`
}

func (VirtioMem) driver() string { return "virtio-mem-pci" }
