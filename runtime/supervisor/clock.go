package supervisor

import (
	"context"
	"time"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// changeLimit bounds one change of a running machine.
const changeLimit = 30 * time.Second

// setClock sets the guest's time of day by the host's. A machine that boots will
// read it from its own clock.
func (s *Supervisor) setClock(ctx context.Context) control.Reply {
	select {
	case <-s.execs.ready:
	default:
		return control.Reply{}
	}
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	if err := s.guest.change(ctx, api.KindClock, api.Clock{UnixNanos: time.Now().UnixNano()}); err != nil {
		return control.Reply{Error: err.Error()}
	}
	return control.Reply{}
}
