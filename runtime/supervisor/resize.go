package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// update changes the running machine. What fails is taken back.
func (s *Supervisor) update(ctx context.Context, req *control.Update) control.Reply {
	if err := s.awaitEntrypoint(ctx); err != nil {
		return control.Reply{Error: err.Error()}
	}
	s.resizing.Lock()
	defer s.resizing.Unlock()
	steps := []func(context.Context) error{}
	if req.CPUs > 0 {
		steps = append(steps, func(ctx context.Context) error { return s.setCPUs(ctx, req.CPUs) })
	}
	if req.MemoryMiB > 0 {
		steps = append(steps, func(ctx context.Context) error { return s.setMemory(ctx, req.MemoryMiB) })
	}
	if req.PidsLimit != nil {
		steps = append(steps, func(ctx context.Context) error {
			return s.guest.change(ctx, api.KindResources, api.Resources{PidsLimit: req.PidsLimit})
		})
	}
	ctx, cancel := context.WithTimeout(ctx, control.UpdateLimit)
	defer cancel()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return control.Reply{Error: err.Error()}
		}
	}
	s.log.Info("the machine has changed", "cpus", req.CPUs, "memory_mib", req.MemoryMiB, "pids_limit", req.PidsLimit)
	return control.Reply{}
}

// cpuSlot is a place for a vCPU, as query-hotpluggable-cpus has it.
type cpuSlot struct {
	Type    string         `json:"type"`
	Props   map[string]int `json:"props"`
	QOMPath string         `json:"qom-path"` // of the vCPU; empty where there is none
}

// core is the number of the slot: a machine's vCPUs are the cores of one socket.
func (c *cpuSlot) core() int { return c.Props["core-id"] }

// cpuSlots are the machine's, the first vCPU first.
func (s *Supervisor) cpuSlots(ctx context.Context) ([]cpuSlot, error) {
	var slots []cpuSlot
	if err := s.qmp.Execute(ctx, "query-hotpluggable-cpus", nil, &slots); err != nil {
		return nil, err
	}
	slices.SortFunc(slots, func(a, b cpuSlot) int { return cmp.Compare(a.core(), b.core()) })
	return slots, nil
}

// setCPUs has n vCPUs work in the machine. Those that it does not have yet are
// added. None is removed: the guest lets one rest, which costs the host nothing,
// while QEMU 7.2 that translates ends in "double free or corruption" soon after a
// vCPU's removal.
func (s *Supervisor) setCPUs(ctx context.Context, n int) error {
	if most := s.plan.Machine.MostCPUs(); n > most {
		return fmt.Errorf("the machine has room for %d vCPUs, not for %d", most, n)
	}
	if err := s.addCPUs(ctx, n); err != nil {
		return err
	}
	return s.guest.change(ctx, api.KindResources, api.Resources{CPUs: n})
}

// addCPUs adds what is missing of n vCPUs.
func (s *Supervisor) addCPUs(ctx context.Context, n int) error {
	if n <= s.plan.Machine.CPUs {
		return nil
	}
	slots, err := s.cpuSlots(ctx)
	if err != nil {
		return err
	}
	for _, slot := range slots[:n] {
		if slot.QOMPath != "" {
			continue
		}
		device := map[string]any{"driver": slot.Type, "id": "vcpu" + strconv.Itoa(slot.core())}
		for name, value := range slot.Props {
			device[name] = value
		}
		if err := s.qmp.Execute(ctx, "device_add", device, nil); err != nil {
			return err
		}
	}
	return nil
}

// pollEvery is how often it is looked whether the guest has followed.
const pollEvery = 20 * time.Millisecond

// poll waits until a condition holds or cannot be told, or ctx is done.
func poll(ctx context.Context, holds func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// memoryState is how much memory the machine has.
type memoryState struct {
	ram     int64 // bytes of the RAM that it began with, without what the balloon has taken
	more    int64 // bytes that it has got beyond
	block   int64 // what these come and go in; 0 where there are none
	growing bool  // there is a device for more
}

func (m memoryState) total() int64 { return m.ram + m.more }

func (s *Supervisor) memory(ctx context.Context) (memoryState, error) {
	var state memoryState
	var balloon struct {
		Actual int64 `json:"actual"`
	}
	if err := s.qmp.Execute(ctx, "query-balloon", nil, &balloon); err != nil {
		return state, err
	}
	state.ram = balloon.Actual
	var devices []struct {
		Type string `json:"type"`
		Data struct {
			ID        string `json:"id"`
			Size      int64  `json:"size"`
			BlockSize int64  `json:"block-size"`
		} `json:"data"`
	}
	if err := s.qmp.Execute(ctx, "query-memory-devices", nil, &devices); err != nil {
		return state, err
	}
	for _, d := range devices {
		if d.Data.ID == plan.GrowthDevice {
			state.more, state.block, state.growing = d.Data.Size, d.Data.BlockSize, true
		}
	}
	return state, nil
}

const mib = 1 << 20

// setMemory gives the machine so much memory: what is less than it began with is
// the balloon's, what is more comes by the device for that.
func (s *Supervisor) setMemory(ctx context.Context, sizeMiB int) error {
	before, err := s.memory(ctx)
	if err != nil {
		return err
	}
	began := int64(s.plan.Machine.MemoryMiB) * mib
	wanted := int64(sizeMiB) * mib
	target := memoryState{ram: min(wanted, began), more: max(0, wanted-began), growing: before.growing, block: before.block}
	switch {
	case target.more > 0 && !before.growing:
		return fmt.Errorf("the machine's memory cannot be more than %d MiB", s.plan.Machine.MemoryMiB)
	case before.block > 0:
		target.more = target.more / before.block * before.block
	}
	if target == before {
		return nil
	}
	if err := s.guest.change(ctx, api.KindResources, api.Resources{Memory: &api.MemoryChange{TakenMiB: int((before.total() - target.total()) / mib)}}); err != nil {
		return err
	}
	err = s.askMemory(ctx, target)
	if err == nil {
		err = s.awaitMemory(ctx, target)
	}
	if err != nil {
		// Not with ctx, whose time may be up.
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeLimit)
		defer cancel()
		err = errors.Join(err, s.askMemory(again, before))
	}
	return err
}

// askMemory has QEMU ask the guest to follow.
func (s *Supervisor) askMemory(ctx context.Context, target memoryState) error {
	if target.growing {
		err := s.qmp.Execute(ctx, "qom-set", map[string]any{
			"path": "/machine/peripheral/" + plan.GrowthDevice, "property": "requested-size", "value": target.more,
		}, nil)
		if err != nil {
			return err
		}
	}
	return s.qmp.Execute(ctx, "balloon", map[string]int64{"value": target.ram}, nil)
}

// awaitMemory waits until the guest has followed, as long as it gets on.
func (s *Supervisor) awaitMemory(ctx context.Context, target memoryState) error {
	var last memoryState
	moved := time.Now()
	err := poll(ctx, func() (bool, error) {
		now, err := s.memory(ctx)
		if err != nil {
			return false, err
		}
		if now != last {
			last, moved = now, time.Now()
		}
		if now != target && time.Since(moved) > changeLimit {
			return false, context.DeadlineExceeded
		}
		return now == target, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the guest has come to %d MiB of memory on the way to %d MiB, and no further: it needs what it has, its kernel has no driver for this change (virtio_balloon, virtio_mem), or the host has no memory or no huge pages for more",
			last.total()/mib, target.total()/mib)
	}
	return err
}
