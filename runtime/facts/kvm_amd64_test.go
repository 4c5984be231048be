package facts

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A virtual CPU that would loop for ages is stopped by the watchdog.
func TestWatchStopsALoop(t *testing.T) {
	kvm, err := unix.Open(kvmDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(openReason(kvmDevice, err))
	}
	defer unix.Close(kvm)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := newVCPU(kvm)
	if err != nil {
		t.Skip(runReason(err))
	}
	defer c.close()
	for _, limit := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond} {
		var stopped atomic.Bool
		c.run[kvmRunImmediateExit] = 0
		start := time.Now()
		end := c.watch(limit, &stopped)
		err := c.loop(1<<62, &stopped)
		end()
		if took := time.Since(start); !errors.Is(err, errDeadline) || took < limit || took > limit+300*time.Millisecond {
			t.Errorf("limit %v: got %v after %v", limit, err, took)
		}
	}
}
