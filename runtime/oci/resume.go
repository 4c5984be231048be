package oci

import (
	"context"
	"fmt"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// clockLimit bounds how long `resume` waits for the guest's clock: a machine that
// was paused while it works hard answers late.
const clockLimit = 10 * time.Second

// Resume lets a paused container go on, and sets its guest's time of day: the
// guest's kernel does not count what it has missed of a long pause.
func (r *Runtime) Resume(ctx context.Context, id string) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	defer r.trace(id)(&err)
	if err := r.runRunc(ctx, "resume", id); err != nil {
		return err
	}
	if err := r.setClock(ctx, id); err != nil {
		r.Warn(plan.Warning{
			Summary: "Clock not set",
			Detail:  fmt.Sprintf("The container %s goes on, and its guest's clock may be late by the time of the pause: %v.", id, err),
		})
	}
	return nil
}

func (r *Runtime) setClock(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, clockLimit)
	defer cancel()
	conn, err := control.Dial(ctx, r.StateDir(id), func() bool { return false })
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = control.Call(ctx, conn, control.Request{Clock: true})
	return err
}
