package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/guest/api"
	vmnet "github.com/runcvm/runcvm/runtime/net"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// plugged is an interface of the machine.
type plugged struct {
	tap  *vmnet.Tap
	nic  qemu.HotNIC
	slot int // atStart for a device that the machine began with
}

const atStart = -1

// hotplug follows the container's network while the machine runs.
type hotplug struct {
	known   vmnet.State
	plugged map[string]*plugged // by the interface's name
	next    int                 // number of the next tap and device

	mu      sync.Mutex
	deleted map[string]chan struct{} // closed when QEMU has no device of that ID any more
}

// notice takes what QEMU says of devices that are unplugged.
func (h *hotplug) notice(event vmm.Event) {
	if event.Name != "DEVICE_DELETED" {
		return
	}
	var data struct {
		Device string `json:"device"`
	}
	if json.Unmarshal(event.Data, &data) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if gone := h.deleted[data.Device]; gone != nil {
		close(gone)
		delete(h.deleted, data.Device)
	}
}

// await returns what is closed when the device has gone.
func (h *hotplug) await(device string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	gone := make(chan struct{})
	if h.deleted == nil {
		h.deleted = map[string]chan struct{}{}
	}
	h.deleted[device] = gone
	return gone
}

// watchNetwork follows the container's network from now on, until ctx is done.
func (s *Supervisor) watchNetwork(ctx context.Context) error {
	if s.plan.Network.Mode == plan.ModeNone {
		return nil
	}
	go func() {
		if err := vmnet.Watch(ctx, s.hotplug.known, func(now vmnet.State) { s.followNetwork(ctx, now) }); err != nil {
			s.log.Warn("the container's network is no longer followed", "error", err)
		}
	}()
	return nil
}

// followNetwork brings the machine's network to what the container's is now. The
// engine waits for nothing of it, so that mistakes are for the log.
func (s *Supervisor) followNetwork(ctx context.Context, now vmnet.State) {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	h := &s.hotplug
	change := api.NetworkChange{
		OldRoutes: without(h.known.Routes, now.Routes), NewRoutes: without(now.Routes, h.known.Routes),
		DNSRelay: s.usesDockerResolver(),
	}
	h.known = now
	present := map[string]bool{}
	for _, iface := range now.Interfaces {
		present[iface.Name] = true
		if h.plugged[iface.Name] != nil {
			continue
		}
		if err := s.plug(ctx, &iface); err != nil {
			s.log.Error("a network cannot be connected to the machine", "interface", iface.Name, "error", err)
			continue
		}
		change.Added = append(change.Added, iface)
	}
	for name := range h.plugged {
		if !present[name] {
			change.Removed = append(change.Removed, name)
		}
	}
	slices.Sort(change.Removed)
	if len(change.Added) > 0 {
		s.noteStack()
	}
	// Routes of interfaces that the machine does not have are nothing to it.
	change.NewRoutes = slices.DeleteFunc(change.NewRoutes, func(r api.Route) bool { return h.plugged[r.Interface] == nil })
	if len(change.Added)+len(change.Removed)+len(change.OldRoutes)+len(change.NewRoutes) == 0 {
		return
	}
	if err := s.guest.change(ctx, api.KindNetwork, change); err != nil {
		s.log.Error("the guest's network cannot follow the container's", "error", err)
	}
	for _, name := range change.Removed {
		if err := s.unplug(ctx, name); err != nil {
			s.log.Error("a network cannot be disconnected from the machine", "interface", name, "error", err)
		}
	}
	s.log.Info("the network has changed", "added", len(change.Added), "removed", change.Removed)
}

// noteStack takes note of what joining an interface has done to it: with a bridge,
// addresses and routes have moved to where Read does not look.
func (s *Supervisor) noteStack() {
	if s.plan.Network.Mode != plan.ModeBridge {
		return
	}
	state, err := vmnet.Read()
	if err != nil {
		s.log.Warn("read the container's network anew", "error", err)
		return
	}
	s.hotplug.known = state
}

// without returns what is in routes and not in others.
func without(routes, others []api.Route) []api.Route {
	return slices.DeleteFunc(slices.Clone(routes), func(r api.Route) bool { return slices.Contains(others, r) })
}

// plug gives the running machine a device for the interface.
func (s *Supervisor) plug(ctx context.Context, iface *api.Interface) (err error) {
	h := &s.hotplug
	slot := h.freeSlot(s.plan.Network.Slots)
	if slot == atStart {
		return fmt.Errorf("the machine has %d slots for networks that come while it runs, and none is free; start it with more (network.slots), or restart the container", s.plan.Network.Slots)
	}
	n := h.next
	h.next++
	a, err := s.join(n, iface)
	if err != nil {
		return err
	}
	defer a.release()
	hot := a.nic.Hot(qemu.Slot(slot))
	if err := s.addDevice(ctx, hot, a); err != nil {
		return errors.Join(err, a.tap.Close())
	}
	h.plugged[iface.Name] = &plugged{tap: a.tap, nic: hot, slot: slot}
	return nil
}

// addDevice has QEMU make the device with the descriptors of its taps.
func (s *Supervisor) addDevice(ctx context.Context, hot qemu.HotNIC, a *attached) error {
	for i, name := range slices.Concat(hot.Taps, hot.VHosts) {
		if err := s.qmp.HandFile(ctx, name, slices.Concat(a.tap.Queues, a.vhosts)[i]); err != nil {
			return err
		}
	}
	if err := s.qmp.Execute(ctx, "netdev_add", hot.Netdev, nil); err != nil {
		return err
	}
	if err := s.qmp.Execute(ctx, "device_add", hot.Device, nil); err != nil {
		return errors.Join(err, s.qmp.Execute(ctx, "netdev_del", map[string]string{"id": hot.NetdevID}, nil))
	}
	return nil
}

// freeSlot is the first PCIe port without a device, or atStart.
func (h *hotplug) freeSlot(slots int) int {
	taken := make([]bool, slots)
	for _, p := range h.plugged {
		if p.slot != atStart {
			taken[p.slot] = true
		}
	}
	return slices.Index(taken, false)
}

// unplug takes the device of an interface that has gone from the machine. One
// that the machine began with stays, without a driver.
func (s *Supervisor) unplug(ctx context.Context, name string) error {
	p := s.hotplug.plugged[name]
	delete(s.hotplug.plugged, name)
	if p.slot == atStart {
		return p.tap.Close()
	}
	gone := s.hotplug.await(p.nic.DeviceID)
	if err := s.qmp.Execute(ctx, "device_del", map[string]string{"id": p.nic.DeviceID}, nil); err != nil {
		return errors.Join(err, p.tap.Close())
	}
	select {
	case <-gone:
	case <-ctx.Done():
		// It keeps its slot.
		s.hotplug.plugged["("+p.nic.DeviceID+")"] = p
		return fmt.Errorf("the guest does not let the device go: %w", ctx.Err())
	}
	return errors.Join(s.qmp.Execute(ctx, "netdev_del", map[string]string{"id": p.nic.NetdevID}, nil), p.tap.Close())
}

// attached is a tap that has been joined with an interface, and its device.
type attached struct {
	tap    *vmnet.Tap
	vhosts []*os.File
	nic    qemu.NIC
}

// release closes this process's descriptors.
func (a *attached) release() {
	a.tap.Release()
	for _, f := range a.vhosts {
		_ = f.Close()
	}
}
