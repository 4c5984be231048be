package agent

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// capabilitySets are the five sets of a process, a bit each.
type capabilitySets struct {
	bounding, effective, inheritable, permitted, ambient uint64
}

// parseCapabilities turns names into sets. Without any, the process has none.
func parseCapabilities(c *specs.LinuxCapabilities) (capabilitySets, error) {
	var sets capabilitySets
	if c == nil {
		return sets, nil
	}
	for _, s := range []struct {
		names []string
		to    *uint64
	}{
		{c.Bounding, &sets.bounding},
		{c.Effective, &sets.effective},
		{c.Inheritable, &sets.inheritable},
		{c.Permitted, &sets.permitted},
		{c.Ambient, &sets.ambient},
	} {
		for _, name := range s.names {
			number := slices.Index(api.Capabilities[:], name)
			if number < 0 {
				return sets, fmt.Errorf("%q is not a capability", name)
			}
			*s.to |= 1 << number
		}
	}
	return sets, nil
}

// dropBounding takes every capability but these out of the bounding set.
func dropBounding(keep uint64) error {
	for c := range 64 {
		if keep&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if err == unix.EINVAL {
			return nil // beyond the kernel's last one
		}
		if err != nil {
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	return nil
}

// apply sets the thread's other sets. What the kernel does not know is left
// out, as is what the thread does not have to give.
func (s capabilitySets) apply() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	have := uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)
	permitted := s.permitted & have
	effective := s.effective & permitted
	inheritable := s.inheritable & have
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{
			Effective:   uint32(effective >> shift),
			Permitted:   uint32(permitted >> shift),
			Inheritable: uint32(inheritable >> shift),
		}
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("set the capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	for c := range 64 {
		if s.ambient&permitted&inheritable&(1<<c) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("raise ambient capability %s: %w", api.Capabilities[c], err)
		}
	}
	return nil
}
