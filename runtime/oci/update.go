package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mib is a mebibyte in bytes.
const mib = 1 << 20

// Update changes the container's resources. resources names a file with OCI
// linux.resources in JSON ("-" for stdin); flags are runc's own options. A
// memory limit means the VM's RAM, which cannot change while it runs: the
// container's own limit is then the RAM and the overhead of the plan.
func (r *Runtime) Update(ctx context.Context, id, resources string, flags []string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if resources == "" {
		return r.runRunc(ctx, append(append([]string{"update"}, flags...), id)...)
	}
	data, err := readFileOrStdin(resources)
	if err != nil {
		return fmt.Errorf("read the resources: %w", err)
	}
	if data, err = r.adjustResources(id, data); err != nil {
		return err
	}
	cmd := r.runc(ctx, append(append([]string{"update"}, flags...), "--resources", "-", id)...)
	cmd.Stdin = bytes.NewReader(data)
	if err := cmd.Run(); err != nil {
		return runError(r.Runc, err)
	}
	return nil
}

// adjustResources turns a limit of the VM's memory into one of the container.
func (r *Runtime) adjustResources(id string, data []byte) ([]byte, error) {
	var resources specs.LinuxResources
	if err := json.Unmarshal(data, &resources); err != nil {
		return nil, fmt.Errorf("the resources are not OCI linux.resources: %w", err)
	}
	if resources.Memory == nil || resources.Memory.Limit == nil || *resources.Memory.Limit <= 0 {
		return data, nil
	}
	p, err := r.Plan(id)
	if err != nil {
		return nil, err
	}
	ram, limit := int64(p.Machine.MemoryMiB)*mib, *resources.Memory.Limit
	if limit != ram {
		return nil, fmt.Errorf("the VM of container %s has %d MiB of memory, which cannot change to %d MiB while it runs: "+
			"create the container anew with -m", id, p.Machine.MemoryMiB, limit/mib)
	}
	// Unlimited swap, as for any limit that Docker sets without one, stays
	// unlimited; a limit of memory and swap together grows by as much.
	overhead := int64(p.Machine.OverheadMiB) * mib
	*resources.Memory.Limit += overhead
	if swap := resources.Memory.Swap; swap != nil && *swap > 0 {
		*swap += overhead
	}
	return json.Marshal(resources)
}

func readFileOrStdin(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}
