package oci

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// maxDebugLog bounds a container's log, in bytes: RunDir is in the host's
// memory, and a health check runs a verb every few seconds.
const maxDebugLog = 4 << 20

// debugLogPath is the log of a container with debug.runtime. It is not in the
// state folder, since what went wrong may be why that has gone.
func (r *Runtime) debugLogPath(id string) string {
	return filepath.Join(r.RunDir, "debug", id+".log")
}

// beginLog makes the container's log, by which later verbs know that they are
// to write one.
func (r *Runtime) beginLog(id string) error {
	path := r.debugLogPath(id)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		var f *os.File
		if f, err = openDebugLog(path, os.O_CREATE); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("make the log that debug.runtime asks for: %w", err)
	}
	return nil
}

func openDebugLog(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
}

// trace writes into the container's log, if it has one, what the verb was called
// with, and in the end what came of it.
func (r *Runtime) trace(id string) (end func(*error)) {
	f, err := openDebugLog(r.debugLogPath(id), 0)
	if err != nil {
		return func(*error) {}
	}
	if info, err := f.Stat(); err != nil || info.Size() > maxDebugLog {
		f.Close()
		return func(*error) {}
	}
	r.debug = slog.New(slog.NewJSONHandler(f, nil)).With("pid", os.Getpid())
	began := time.Now()
	r.debug.Info("begin", "argv", os.Args)
	return func(err *error) {
		took := slog.Duration("took", time.Since(began))
		if *err != nil {
			r.debug.Error("failed", took, "error", (*err).Error())
		} else {
			r.debug.Info("done", took)
		}
		f.Close()
		r.debug = nil
	}
}

// logPlan writes what `create` has decided.
func (r *Runtime) logPlan(bundle string, p *plan.Plan) {
	if r.debug == nil {
		return
	}
	r.debug.Info("plan", "digest", p.Digest, "profiles", p.Profiles, "bundle", bundle, "root", p.Rootfs.HostPath,
		"kernel", p.Kernel.Distribution+" "+p.Kernel.Version, "kernel_reason", p.Kernel.Reason, "accel", p.Machine.Accel, "args", p.Guest.Process.Args)
	for _, w := range p.Warnings {
		r.debug.Warn(w.Summary, "detail", w.Detail)
	}
}
