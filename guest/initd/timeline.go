package initd

import (
	"slices"
	"sync"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// timeline collects the milestones of the boot.
type timeline struct {
	mu    sync.Mutex
	marks []api.Milestone
}

func (t *timeline) mark(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, api.Milestone{Name: name, UptimeNanos: agent.Uptime()})
}

func (t *timeline) list() []api.Milestone {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.marks)
}
