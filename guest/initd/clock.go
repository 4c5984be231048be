package initd

import (
	"os"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// clockTolerance is how far the guest's time of day may be from the host's
// without being set: the message takes its time, and a clock shall not jump for
// less.
const clockTolerance = 100 * time.Millisecond

// serveClock sets the time of day, and says how that went.
func serveClock(stream *yamux.Stream) {
	defer stream.Close()
	var clock api.Clock
	if err := api.Read(stream, &clock); err != nil {
		return
	}
	tellOutcome(stream, setClock(clock))
}

// tellOutcome tells how a request went.
func tellOutcome(stream *yamux.Stream, err error) {
	event := api.Event{Type: api.EventReady, UptimeNanos: agent.Uptime()}
	if err != nil {
		event.Type, event.Message = api.EventFailed, oneLine(err)
	}
	_ = api.Write(stream, event)
}

func setClock(clock api.Clock) error {
	if off := time.Since(time.Unix(0, clock.UnixNanos)); off.Abs() <= clockTolerance {
		return nil
	}
	ts := unix.NsecToTimespec(clock.UnixNanos)
	return os.NewSyscallError("clock_settime", unix.ClockSettime(unix.CLOCK_REALTIME, &ts))
}
