package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// askLimit bounds how long `kill` waits for a supervisor: a paused container's
// does not answer.
const askLimit = 2 * time.Second

// Kill sends the entrypoint a signal. The supervisor passes it on as it is;
// SIGKILL makes it end the VM in good order within the stop timeout. Without an
// answer the signal goes to the supervisor itself, as runc does it.
func (r *Runtime) Kill(ctx context.Context, id, signal string, args []string) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	defer r.trace(id)(&err)
	number, err := parseSignal(signal)
	if err != nil {
		return err
	}
	if err := r.askSignal(ctx, id, number); err == nil {
		return nil
	} else if !errors.Is(err, control.ErrUnreachable) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return r.runRunc(ctx, append([]string{"kill"}, args...)...)
}

func (r *Runtime) askSignal(ctx context.Context, id string, number int) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := control.Dial(ctx, r.StateDir(id), func() bool { return false })
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = control.Call(ctx, conn, control.Request{Signal: &control.Signal{Number: number}})
	return err
}

// parseSignal reads a signal's number (0 only asks whether it could be sent) or
// its name, with or without SIG, in either case; real-time signals as RTMIN+n
// and RTMAX-n.
func parseSignal(s string) (int, error) {
	if s == "" {
		return int(unix.SIGTERM), nil
	}
	const rtMin, rtMax = 34, 64 // as glibc counts: the first two are its own
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > rtMax {
			return 0, fmt.Errorf("signal %d is not between 0 and %d", n, rtMax)
		}
		return n, nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n := unix.SignalNum("SIG" + name); n != 0 {
		return int(n), nil
	}
	for prefix, base := range map[string]int{"RTMIN": rtMin, "RTMAX": rtMax} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		offset, err := strconv.Atoi(rest)
		if rest == "" {
			offset, err = 0, nil
		}
		if n := base + offset; err == nil && n >= rtMin && n <= rtMax {
			return n, nil
		}
	}
	return 0, fmt.Errorf("unknown signal %q: use a number or a name such as TERM or SIGUSR1", s)
}
