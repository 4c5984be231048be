package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// Start boots the VM and waits until its entrypoint runs, as the OCI runtime
// specification has it. What keeps it from running is this verb's error.
func (r *Runtime) Start(ctx context.Context, id string, args []string) error {
	if err := checkID(id); err != nil {
		return err
	}
	dir := r.StateDir(id)
	if err := os.WriteFile(filepath.Join(dir, control.AwaitFile), nil, 0o600); err != nil {
		return fmt.Errorf("container %s has no state here: %w", id, err)
	}
	if err := r.runRunc(ctx, append([]string{"start"}, args...)...); err != nil {
		return err
	}
	conn, err := control.Dial(ctx, dir, func() bool { return r.running(ctx, id) })
	if err == nil {
		defer conn.Close()
		if _, err := control.Call(ctx, conn, control.Request{Await: true}); err == nil {
			return nil
		}
	}
	// The supervisor has ended: after the entrypoint, or without it.
	reason, err := os.ReadFile(filepath.Join(dir, control.ErrorFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return errors.New(string(reason))
}
