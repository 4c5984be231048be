package qemu

// Bus is what a machine's virtio devices are attached to. The zero value is
// PCI.
type Bus string

// The buses.
const (
	PCI  Bus = "pci"
	MMIO Bus = "mmio" // virtio-mmio, of the machine "microvm"
)

// driver is QEMU's name of a virtio device on the bus.
func (b Bus) driver(device string) string {
	if b == MMIO {
		return device + "-device"
	}
	return device + "-pci"
}
