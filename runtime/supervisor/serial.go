package supervisor

import (
	"context"
	"io"

	"github.com/runcvm/runcvm/engine/plan"
)

// attachSerial sends the container's input to the machine's serial port, where
// that is the entrypoint's terminal. What the port says has been the container's
// output since QEMU's start.
func (s *Supervisor) attachSerial() {
	if s.plan.Display.Mode != plan.DisplaySerial {
		return
	}
	// A line has no end of file: who types at it says so with a control-D.
	go func() { _, _ = io.Copy(s.serial, s.stdio.In) }()
}

// awaitSerial waits until the serial port's last byte is in the container's
// output.
func (s *Supervisor) awaitSerial(ctx context.Context) {
	if s.plan.Display.Mode != plan.DisplaySerial {
		return
	}
	select {
	case <-s.qemu.Done():
	default:
		return // it will be killed
	}
	select {
	case <-s.consoleDone:
	case <-ctx.Done(): // whoever reads our output may never go on
	}
}

// lossless makes a writer one that never fails: when nobody reads the container's
// output any more, what the machine says is still logged.
type lossless struct{ io.Writer }

func (l lossless) Write(p []byte) (int, error) {
	_, _ = l.Writer.Write(p)
	return len(p), nil
}
