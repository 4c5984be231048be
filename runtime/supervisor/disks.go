package supervisor

import (
	"context"
	"fmt"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/storage"
)

// Programs of the tool root.
const (
	mke2fs  = "/usr/sbin/mke2fs"
	debugfs = "/usr/sbin/debugfs"
)

// openDisks opens the plan's disks, made first where they are not there, and the
// host's block devices. QEMU inherits them as plan.FDFirstDisk and up, with the
// lock.
func (s *Supervisor) openDisks(ctx context.Context) error {
	for _, d := range s.plan.Disks {
		disk := storage.Disk{
			Name: d.Name, Root: d.Root, Path: d.Path, Size: d.SizeBytes, FS: d.FS,
			FillRoot: plan.RootMount, Fill: d.Target,
			Mke2fs: mke2fs, Debugfs: debugfs,
		}
		file, err := disk.Open(ctx)
		if err != nil {
			return err
		}
		s.disks = append(s.disks, file)
	}
	for _, d := range s.plan.BlockDevices {
		file, err := storage.OpenDevice(d.Path, d.ReadOnly)
		if err != nil {
			return fmt.Errorf("the device %s: %w", d.Node.Path, err)
		}
		s.disks = append(s.disks, file)
	}
	if len(s.disks) > 0 {
		s.timeline.mark(milestoneDisks)
	}
	return nil
}
