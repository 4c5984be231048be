package oci

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/term"
)

// forwarded are the signals by which people and service managers address a
// program that they wait for.
var forwarded = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
}

// fromTerminal are those that a terminal sends to all programs in its
// foreground, so that the runtime below has got them as well.
var fromTerminal = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT}

// runForeground is runRunc for a container that somebody waits for. What this
// process is told by a signal is for the container: the runtime below passes it
// on, and ends with the container.
func (r *Runtime) runForeground(ctx context.Context, args ...string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	onTerminal := term.IsTerminal(int(os.Stdin.Fd()))
	cmd := r.runc(ctx, args...)
	if err := cmd.Start(); err != nil {
		return runError(r.Runc, err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case sig := <-signals:
				if !onTerminal || !slices.Contains(fromTerminal, sig) {
					_ = cmd.Process.Signal(sig) // it may just have ended
				}
			case <-ended:
				return
			}
		}
	}()
	if err := cmd.Wait(); err != nil {
		return runError(r.Runc, err)
	}
	return nil
}
