package oci

import (
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/schema/units"
)

// UpdateFlags are runc's options of `update` that are taken here, with what each is
// about.
var UpdateFlags = []struct{ Name, Help string }{
	{"memory", "memory of the machine, `SIZE`"},
	{"memory-swap", "memory and swap of the container around it, `SIZE`; -1 for no limit"},
	{"cpu-period", "`MICROSECONDS` of a period"},
	{"cpu-quota", "`MICROSECONDS` of CPU time in a period; -1 for no limit"},
	{"cpu-share", "`SHARE` of CPU time beside other containers"},
	{"cpuset-cpus", "`LIST` of the host's CPUs"},
	{"cpuset-mems", "`LIST` of the host's memory nodes"},
	{"pids-limit", "`NUMBER` of processes; -1 for no limit"},
	{"blkio-weight", "`WEIGHT` of block I/O, 10 to 1000"},
}

// flagResources makes resources of options in the form --name=value.
func flagResources(flags []string) (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{}}
	for _, flag := range flags {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if err := setResource(r, name, value); err != nil {
			return nil, fmt.Errorf("--%s %q: %w", name, value, err)
		}
	}
	return r, nil
}

func setResource(r *specs.LinuxResources, name, value string) error {
	switch name {
	case "cpuset-cpus":
		r.CPU.Cpus = value
		return nil
	case "cpuset-mems":
		r.CPU.Mems = value
		return nil
	case "memory", "memory-swap":
		size, err := sizeOf(value)
		if err != nil {
			return err
		}
		if name == "memory" {
			r.Memory.Limit = &size
		} else {
			r.Memory.Swap = &size
		}
		return nil
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fmt.Errorf("it is no number")
	}
	positive := uint64(max(number, 0))
	switch name {
	case "cpu-quota":
		r.CPU.Quota = &number
	case "cpu-period":
		r.CPU.Period = &positive
	case "cpu-share":
		r.CPU.Shares = &positive
	case "pids-limit":
		r.Pids = &specs.LinuxPids{Limit: &number}
	case "blkio-weight":
		weight := uint16(min(positive, 1<<16-1))
		r.BlockIO = &specs.LinuxBlockIO{Weight: &weight}
	default:
		return fmt.Errorf("it is no resource that can be changed")
	}
	return nil
}

// sizeOf reads a size in bytes or with a unit; -1 is no limit.
func sizeOf(value string) (int64, error) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, nil
	}
	size, err := units.ParseBytes(strings.ToUpper(value))
	return int64(size), err
}
