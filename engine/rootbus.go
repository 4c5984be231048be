package engine

import "github.com/runcvm/runcvm/engine/plan"

// rootBusPlaces is how many devices a q35's root bus takes: of 32, the first and the
// last are the chipset's.
const rootBusPlaces = 30

// checkRootBus reports more devices than the root bus has places for.
func (c *compiler) checkRootBus() {
	p := c.plan
	if p.Machine.Bus != busPCI {
		return
	}
	count := c.virtioDevices() + p.Network.Slots + len(p.Machine.VFIO)
	for _, there := range []bool{p.Machine.MaxMemoryMiB > 0, p.Machine.USB, p.Display.VGA != noVGA} {
		if there {
			count++
		}
	}
	if p.Network.Mode != plan.ModeNone {
		count += max(0, len(p.Network.NICs)-1)
	}
	if count > rootBusPlaces {
		c.diags.Errorf("Too many devices",
			"The machine would have %d devices, of which %d are disks, %d PCI devices of the host and %d slots for networks that come later (network.slots), and its bus has places for %d. Use fewer of them.",
			count, c.disks(), len(p.Machine.VFIO), p.Network.Slots, rootBusPlaces)
	}
}

// virtioDevices counts those that a machine has on either bus. It counts one
// interface where there may be some: the supervisor sees them first.
func (c *compiler) virtioDevices() int {
	const always = 3 // the share, the balloon, and what the agent speaks by
	count := always + c.disks()
	if c.plan.Rootfs.VolumesCache != "" {
		count++
	}
	if c.plan.Network.Mode != plan.ModeNone {
		count++
	}
	return count
}

// disks counts those of the profile and the host's block devices.
func (c *compiler) disks() int { return len(c.plan.Disks) + len(c.plan.BlockDevices) }
