package supervisor

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/runcvm/runcvm/runtime/vmm"
)

// memoryFiles are what the container's control group tells of memory that ran
// out: of version 1, then of version 2.
var memoryFiles = []string{
	"memory/memory.oom_control", "memory/memory.failcnt", "memory/memory.max_usage_in_bytes", "memory/memory.limit_in_bytes",
	"memory.events", "memory.peak", "memory.max",
}

// cgroupMount is where the container has its own control group.
const cgroupMount = "/sys/fs/cgroup"

// logEnd says in the log how QEMU ended and what its control group counted, for
// debug.qemu.
func (s *Supervisor) logEnd(qemu *vmm.Child) {
	if s.plan.Debug == nil || !s.plan.Debug.QEMU {
		return
	}
	attributes := []any{}
	if status, ok := qemu.Status(); ok && status.Signaled() {
		attributes = append(attributes, "signal", int(status.Signal()), "name", status.Signal().String())
	} else if ok {
		attributes = append(attributes, "code", status.ExitStatus())
	}
	s.log.Info("QEMU ended", attributes...)
	for _, name := range memoryFiles {
		text, err := os.ReadFile(filepath.Join(cgroupMount, name))
		if err == nil {
			s.log.Info("QEMU's memory", "file", name, "says", strings.Join(strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), ", "))
		}
	}
}
