package engine

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// Backends of the guest's RAM.
const (
	backendShm     = "shm"
	backendHugeTLB = "hugetlb"
)

// growthBlock is what the guest's kernel adds memory in: a part of a block at the
// end would be lost (memory_block_size_bytes of x86-64).
const growthBlock = 128 * units.MiB

// compileMemory decides what holds the guest's RAM, and how far it may grow.
func (c *compiler) compileMemory(m *plan.Machine) {
	m.Memory = plan.Memory{Backend: schema.MachineMemoryBackend.Of(c.profile), Prealloc: schema.MachinePrealloc.Of(c.profile)}
	if m.Memory.Backend == backendHugeTLB {
		c.takeHugePages(m)
	}
	most := schema.MachineMaxMemory.Of(c.profile).WholeMiB()
	switch {
	case most == 0:
	case most < m.MemoryMiB:
		c.diags.Errorf("Impossible memory",
			"machine.max_memory is %dM, which is less than the machine's memory, %dM. It is what that may grow to, or \"0B\".%s", most, m.MemoryMiB, c.blame(schema.MachineMaxMemory.Attribute))
	case most > m.MemoryMiB:
		m.MaxMemoryMiB = most
	}
}

// takeHugePages chooses the largest pages of which there are enough, and drops
// what of the RAM is a fraction of one.
func (c *compiler) takeHugePages(m *plan.Machine) {
	var sizes []string
	for _, p := range slices.Backward(c.facts.Host.HugePages) {
		size := units.Bytes(p.SizeKiB) * units.KiB
		whole := int64(units.Bytes(m.MemoryMiB)*units.MiB) / int64(size)
		// A large page is no reason to drop much of the RAM.
		fits := int64(size) <= int64(smallHugePage) || units.Bytes(whole)*size == units.Bytes(m.MemoryMiB)*units.MiB
		if whole > 0 && fits && whole <= int64(p.Free) {
			m.Memory.PageKiB, m.MemoryMiB = p.SizeKiB, (units.Bytes(whole) * size).WholeMiB()
			return
		}
		sizes = append(sizes, fmt.Sprintf("%d of %s are free, %d in all", p.Free, size, p.Total))
	}
	if len(sizes) == 0 {
		sizes = []string{"its kernel has none"}
	}
	c.diags.Errorf("Not enough huge pages",
		"machine.memory_backend is \"hugetlb\", and the host does not have enough huge pages for the machine's %dM: %s. Set more aside (sysctl vm.nr_hugepages=N), or use \"memfd\" or \"shm\".%s",
		m.MemoryMiB, strings.Join(sizes, "; "), c.blame(schema.MachineMemoryBackend.Attribute))
}

// smallHugePage is the smallest huge page of x86-64.
const smallHugePage = 2 * units.MiB

// growth is the size of the device that memory grows by; 0 for none.
func (c *compiler) growth() units.Bytes {
	m := c.plan.Machine
	if m.MaxMemoryMiB == 0 {
		return 0
	}
	more := units.Bytes(m.MaxMemoryMiB-m.MemoryMiB) * units.MiB
	block := max(growthBlock, units.Bytes(m.Memory.PageKiB)*units.KiB)
	return (more + block - 1) / block * block
}

// addMemory writes the arguments for the guest's RAM.
func (c *compiler) addMemory(q *qemu.CommandLine) {
	m := c.plan.Machine
	properties := []qemu.Property{{Name: "size", Value: strconv.Itoa(m.MemoryMiB) + "M"}}
	if growth := c.growth(); growth > 0 {
		properties = append(properties, qemu.Property{Name: "maxmem", Value: strconv.Itoa(m.MemoryMiB+growth.WholeMiB()) + "M"})
	}
	q.Properties("m", "", properties...)
	q.Object(c.backend("ram", units.Bytes(m.MemoryMiB)*units.MiB, m.Memory.Prealloc, nil))
}

// backend is what holds RAM. A nil reserve leaves to QEMU whether the host sets all
// of it aside.
func (c *compiler) backend(id string, size units.Bytes, prealloc bool, reserve *bool) qemu.Object {
	m := c.plan.Machine.Memory
	switch m.Backend {
	case backendShm:
		return qemu.MemoryBackendFile{ID: id, Size: int64(size), Share: true, Prealloc: prealloc, MemPath: plan.ShmMount}
	case backendHugeTLB:
		return qemu.MemoryBackendMemfd{
			ID: id, Size: int64(size), Share: true, Prealloc: prealloc,
			HugeTLB: true, HugeTLBSize: int64(units.Bytes(m.PageKiB) * units.KiB), Reserve: reserve,
		}
	}
	return qemu.MemoryBackendMemfd{ID: id, Size: int64(size), Share: true, Prealloc: prealloc}
}

// addMemoryDevices adds what changes the RAM while the machine runs.
func (c *compiler) addMemoryDevices(q *qemu.CommandLine) {
	m := c.plan.Machine
	q.Device(qemu.VirtioBalloon{Bus: qemu.Bus(m.Bus), ID: plan.BalloonDevice})
	if growth := c.growth(); growth > 0 {
		const backend = "more"
		reserve := false // each block comes when it is asked for
		q.Object(c.backend(backend, growth, false, &reserve))
		q.Device(qemu.VirtioMem{ID: plan.GrowthDevice, MemDev: backend, Prealloc: m.Memory.Prealloc || m.Memory.Backend == backendHugeTLB})
	}
}

// sizeShm makes the container's /dev/shm as large as the guest's RAM, where that
// lies in it.
func (c *compiler) sizeShm(container []specs.Mount) []specs.Mount {
	if c.plan.Machine.Memory.Backend != backendShm {
		return container
	}
	container = slices.DeleteFunc(container, func(m specs.Mount) bool { return path.Clean("/"+m.Destination) == plan.ShmMount })
	return append(container, specs.Mount{
		Destination: plan.ShmMount, Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=0700", "size=" + strconv.Itoa(c.plan.Machine.MemoryMiB+c.growth().WholeMiB()) + "m"},
	})
}
