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

// memorySlots is how often a machine's memory may grow.
const memorySlots = 16

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

// addMemory writes the arguments for the guest's RAM.
func (c *compiler) addMemory(q *qemu.CommandLine) {
	m := c.plan.Machine
	properties := []qemu.Property{{Name: "size", Value: strconv.Itoa(m.MemoryMiB) + "M"}}
	if m.MaxMemoryMiB > 0 {
		properties = append(properties, qemu.Number("slots", memorySlots), qemu.Property{Name: "maxmem", Value: strconv.Itoa(m.MaxMemoryMiB) + "M"})
	}
	q.Properties("m", "", properties...)
	size := int64(units.Bytes(m.MemoryMiB) * units.MiB)
	switch m.Memory.Backend {
	case backendShm:
		q.Object(qemu.MemoryBackendFile{ID: "ram", Size: size, Share: true, Prealloc: m.Memory.Prealloc, MemPath: plan.ShmMount})
	case backendHugeTLB:
		q.Object(qemu.MemoryBackendMemfd{
			ID: "ram", Size: size, Share: true, Prealloc: m.Memory.Prealloc,
			HugeTLB: true, HugeTLBSize: int64(units.Bytes(m.Memory.PageKiB) * units.KiB),
		})
	default:
		q.Object(qemu.MemoryBackendMemfd{ID: "ram", Size: size, Share: true, Prealloc: m.Memory.Prealloc})
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
		Options: []string{"nosuid", "noexec", "nodev", "mode=0700", "size=" + strconv.Itoa(c.plan.Machine.MemoryMiB) + "m"},
	})
}
