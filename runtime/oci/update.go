package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// mib is a mebibyte in bytes.
const mib = 1 << 20

// sizesFile in the state folder has what updates have made of the machine.
const sizesFile = "sizes.json"

// sizes is what the running machine has, as far as updates change it.
type sizes struct {
	CPUs      int `json:"cpus"` // vCPUs
	MemoryMiB int `json:"memory_mib"`
	// PidsLimit is that of the container's processes; less than 1 for none.
	PidsLimit int64 `json:"pids_limit"`
	// CPU are the limits that CPUs follows from.
	CPU specs.LinuxCPU `json:"cpu"`
}

// Update changes the container's resources: those of the machine while it runs, as
// far as it has room, and those of the container around it. resources names a file
// with OCI linux.resources in JSON ("-" for stdin); without it, flags are runc's
// own options. What does not fit changes nothing.
func (r *Runtime) Update(ctx context.Context, id, resources string, flags []string) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	defer r.trace(id)(&err)
	asked, err := readResources(resources, flags)
	if err != nil {
		return err
	}
	p, err := r.Plan(id)
	if err != nil {
		return err
	}
	unlock, err := r.lockSizes(id)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := r.readSizes(id, p)
	if err != nil {
		return err
	}
	after, err := resize(p, before, asked)
	if err != nil {
		return fmt.Errorf("container %s: %w", id, err)
	}
	if err := r.changeMachine(ctx, id, p, before, after); err != nil {
		return err
	}
	surround(asked, p)
	if err := r.updateRunc(ctx, id, asked); err != nil {
		return errors.Join(err, r.changeMachine(ctx, id, p, after, before))
	}
	return r.writeSizes(id, after)
}

// readResources reads a file, or runc's options.
func readResources(file string, flags []string) (*specs.LinuxResources, error) {
	if file == "" {
		return flagResources(flags)
	}
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the resources: %w", err)
	}
	asked := new(specs.LinuxResources)
	if err := json.Unmarshal(data, asked); err != nil {
		return nil, fmt.Errorf("the resources are not OCI linux.resources: %w", err)
	}
	return asked, nil
}

// resize says what the machine is to have, or why it cannot.
func resize(p *plan.Plan, before sizes, asked *specs.LinuxResources) (sizes, error) {
	after := before
	if c := asked.CPU; c != nil && limitsCPUs(c) {
		after.CPU = mergeCPU(before.CPU, c)
		after.CPUs = p.Machine.CPUs
		limited := engine.Variables(&specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{CPU: &after.CPU}}}, &plan.Facts{})
		if n := limited.Container.CPUs; n != nil {
			after.CPUs = *n
		}
		if most := p.Machine.MostCPUs(); after.CPUs > most {
			return after, fmt.Errorf("the machine has room for %d vCPUs while it runs, and %d are asked for: raise machine.max_cpus in a profile (or RUNCVM_MACHINE_MAX_CPUS) and start the container anew", most, after.CPUs)
		}
	}
	if m := asked.Memory; m != nil && m.Limit != nil && *m.Limit > 0 {
		after.MemoryMiB = int(min(*m.Limit/mib, 1<<30))
		switch least, most := p.Machine.LeastMemoryMiB(), p.Machine.MostMemoryMiB(); {
		case after.MemoryMiB > most:
			return after, fmt.Errorf("the machine has room for %d MiB of memory while it runs, and %d MiB are asked for: raise machine.max_memory in a profile (or RUNCVM_MACHINE_MAX_MEMORY) and start the container anew", most, after.MemoryMiB)
		case after.MemoryMiB < least:
			return after, fmt.Errorf("the machine can do with %d MiB of memory while it runs, and %d MiB are asked for: --memory %dm is the least", least, after.MemoryMiB, least)
		}
	}
	if limit := asked.Pids; limit != nil && limit.Limit != nil && *limit.Limit != 0 && p.Init.Mode != plan.InitExec {
		after.PidsLimit = *limit.Limit
	}
	return after, nil
}

// limitsCPUs says whether an update is about the number of CPUs: engines leave
// fields zero that are to stay.
func limitsCPUs(c *specs.LinuxCPU) bool {
	return c.Quota != nil && *c.Quota != 0 || c.Period != nil && *c.Period != 0 || c.Cpus != ""
}

// mergeCPU is what of the limits is in force after an update.
func mergeCPU(before specs.LinuxCPU, c *specs.LinuxCPU) specs.LinuxCPU {
	after := before
	if c.Quota != nil && *c.Quota != 0 {
		after.Quota = c.Quota
	}
	if c.Period != nil && *c.Period != 0 {
		after.Period = c.Period
	}
	if c.Cpus != "" {
		after.Cpus = c.Cpus
	}
	return after
}

// surround makes limits of the machine limits of the container around it.
func surround(asked *specs.LinuxResources, p *plan.Plan) {
	overhead := int64(p.Machine.OverheadMiB) * mib
	if m := asked.Memory; m != nil {
		// Unlimited stays unlimited.
		if m.Limit != nil && *m.Limit > 0 {
			*m.Limit += overhead
		}
		if m.Swap != nil && *m.Swap > 0 {
			*m.Swap += overhead
		}
	}
	if limit := asked.Pids; limit != nil && limit.Limit != nil && *limit.Limit > 0 {
		outer := plan.OuterPidsLimit(*limit.Limit)
		limit.Limit = &outer
	}
}

// changeMachine has the supervisor change the machine where it differs.
func (r *Runtime) changeMachine(ctx context.Context, id string, p *plan.Plan, before, after sizes) error {
	var update control.Update
	if after.CPUs != before.CPUs {
		update.CPUs = after.CPUs
	}
	if after.MemoryMiB != before.MemoryMiB {
		update.MemoryMiB = after.MemoryMiB
	}
	if after.PidsLimit != before.PidsLimit {
		update.PidsLimit = &after.PidsLimit
	}
	if update == (control.Update{}) {
		return nil
	}
	switch status := r.status(ctx, id); status {
	case specs.StateRunning:
	default:
		return fmt.Errorf("the machine of container %s cannot change while the container is %s", id, status)
	}
	// One that boots has to come up first, and what fails is taken back.
	limit := time.Duration(p.Agent.BootTimeoutSeconds)*time.Second + control.UpdateLimit + time.Minute
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := control.Dial(ctx, r.StateDir(id), func() bool { return r.running(ctx, id) })
	if err != nil {
		return fmt.Errorf("cannot update container %s: %w", id, err)
	}
	defer conn.Close()
	if _, err := control.Call(ctx, conn, control.Request{Update: &update}); err != nil {
		if strings.Contains(err.Error(), control.NoContent) {
			err = errors.New("the version of RunCVM that started its machine does not change it while it runs: start the container anew")
		}
		return fmt.Errorf("cannot update container %s: %w", id, err)
	}
	return nil
}

// updateRunc changes the container around the machine.
func (r *Runtime) updateRunc(ctx context.Context, id string, resources *specs.LinuxResources) error {
	data, err := json.Marshal(resources)
	if err != nil {
		return err
	}
	cmd := r.runc(ctx, "update", "--resources", "-", id)
	cmd.Stdin = bytes.NewReader(data)
	if err := cmd.Run(); err != nil {
		return runError(r.Runc, err)
	}
	return nil
}

// lockSizes keeps other updates of the container waiting.
func (r *Runtime) lockSizes(id string) (unlock func(), err error) {
	return lockDir(r.StateDir(id), unix.LOCK_EX)
}

// readSizes reads what earlier updates have made of the machine, else what it began
// with.
func (r *Runtime) readSizes(id string, p *plan.Plan) (sizes, error) {
	now := sizes{CPUs: p.Machine.CPUs, MemoryMiB: p.Machine.MemoryMiB, PidsLimit: p.Guest.PidsLimit}
	if p.OCI.CPU != nil {
		now.CPU = *p.OCI.CPU
	}
	data, err := os.ReadFile(filepath.Join(r.StateDir(id), sizesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &now)
	}
	if err != nil {
		return now, fmt.Errorf("read the machine's sizes: %w", err)
	}
	return now, nil
}

func (r *Runtime) writeSizes(id string, s sizes) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeState(r.StateDir(id), map[string][]byte{sizesFile: data})
}
