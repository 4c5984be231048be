package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// checkVFIO says which of the host's PCI devices somebody else has, before QEMU
// fails at it: an IOMMU group has one user at a time.
func (s *Supervisor) checkVFIO(context.Context) error {
	for _, d := range s.plan.Machine.VFIO {
		node, err := os.OpenFile(plan.VFIONode(d.Group), os.O_RDWR, 0)
		if errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("the host's PCI device %s is in use: another machine or program has its IOMMU group (%d); end that first", d.Address, d.Group)
		}
		if err != nil {
			return fmt.Errorf("the host's PCI device %s cannot be opened, is its driver still vfio-pci? %w", d.Address, err)
		}
		_ = node.Close()
	}
	return nil
}
