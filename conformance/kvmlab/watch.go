package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// Ends of a lab that are no fault of its job's: it shows no life any more, or
// a signal has ended its QEMU, as assertions do.
var (
	errHung    = errors.New("the lab hung")
	errCrashed = errors.New("the lab's QEMU crashed")
)

func isDeath(err error) bool { return errors.Is(err, errHung) || errors.Is(err, errCrashed) }

// Limits of silence. A busy host makes a lab slow, but not that slow.
const (
	firstLifeLimit = 3 * time.Minute
	lifeLimit      = 75 * time.Second
)

// watch calls hung once when the lab has not shown life for too long. It returns
// then, or when ctx is done.
func watch(ctx context.Context, results string, hung func()) {
	limit, last := firstLifeLimit, time.Now()
	tick := time.NewTicker(lab.AlivePeriod)
	defer tick.Stop()
	var seen time.Time // the file's
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		info, err := os.Stat(filepath.Join(results, lab.AliveFile))
		if err == nil && !info.ModTime().Equal(seen) {
			seen, last, limit = info.ModTime(), time.Now(), lifeLimit
		}
		if time.Since(last) > limit {
			hung()
			return
		}
	}
}
