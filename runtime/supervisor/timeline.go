package supervisor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/runcvm/runcvm/guest/api"
)

// TimelineFile is the timeline's name in the state folder.
const TimelineFile = "timeline.json"

// Milestones of the host's side; guest/api has the guest's.
const (
	milestoneCreate     = "create"
	milestoneSupervisor = "supervisor"
	milestoneVirtiofsd  = "virtiofsd started"
	milestoneDisks      = "disks open"
	milestoneQEMU       = "qemu started"
	milestoneKernel     = "kernel"
	milestoneExit       = "exit"
	milestoneSynced     = "guest synced"
)

// Moment is one line of the boot timeline.
type Moment struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// timeline collects moments, in the order in which they are added.
type timeline struct {
	mu      sync.Mutex
	moments []Moment
}

func (t *timeline) add(name string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moments = append(t.moments, Moment{name, at})
}

func (t *timeline) mark(name string) { t.add(name, time.Now()) }

// addGuest places the guest's milestones: event was received now, when the
// guest's clock showed its uptime.
func (t *timeline) addGuest(event api.Event) {
	kernel := time.Now().Add(-time.Duration(event.UptimeNanos))
	t.add(milestoneKernel, kernel)
	for _, m := range event.Timeline {
		t.add(m.Name, kernel.Add(time.Duration(m.UptimeNanos)))
	}
}

// BeginTimeline is the content of a timeline that begins with `create` at a
// time.
func BeginTimeline(create time.Time) ([]byte, error) {
	return json.Marshal([]Moment{{milestoneCreate, create}})
}

// read takes up the timeline that `create` began in dir. Without one, it begins
// with the supervisor.
func (t *timeline) read(dir string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	data, err := os.ReadFile(filepath.Join(dir, TimelineFile))
	var earlier []Moment
	if err == nil && json.Unmarshal(data, &earlier) == nil {
		t.moments = append(earlier, t.moments...)
	}
}

// write saves the timeline in dir.
func (t *timeline) write(dir string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	data, err := json.Marshal(t.moments)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, TimelineFile), data, 0o600)
}
