package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// Start boots the VM and waits until its entrypoint runs, as the OCI runtime
// specification has it. What keeps it from running is this verb's error.
func (r *Runtime) Start(ctx context.Context, id string, args []string) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	defer r.trace(id)(&err)
	dir := r.StateDir(id)
	if err := os.WriteFile(filepath.Join(dir, control.AwaitFile), nil, 0o600); err != nil {
		return fmt.Errorf("container %s has no state here: %w", id, err)
	}
	if err := r.runRunc(ctx, append([]string{"start"}, args...)...); err != nil {
		return err
	}
	hooks, err := r.poststart(ctx, id)
	if err != nil {
		return err
	}
	if err := r.awaitStart(ctx, id, dir); err != nil {
		return err
	}
	return r.callPoststart(ctx, id, hooks)
}

// awaitStart waits until the entrypoint runs, or has run.
func (r *Runtime) awaitStart(ctx context.Context, id, dir string) error {
	conn, err := control.Dial(ctx, dir, func() bool { return r.running(ctx, id) })
	if err == nil {
		defer conn.Close()
		if _, err := control.Call(ctx, conn, control.Request{Await: true}); err == nil {
			return nil
		}
		if pid, err := control.PeerPID(conn); err == nil {
			awaitEnd(pid)
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

// endLimit bounds how long `start` waits for a supervisor that gives up.
const endLimit = 5 * time.Second

// awaitEnd waits until the process is gone. An engine deletes a container that
// did not start at once, and can do so only when its shim has seen it end.
func awaitEnd(pid int) {
	for deadline := time.Now().Add(endLimit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return
		}
	}
}
