package harness

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnHost calls f in the engine's network namespace, which is the host as its
// containers see it. f must not hand its network calls to other goroutines.
func (e *Engine) OnHost(f func() error) error {
	result := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nothing else
		// runs in the other namespace.
		runtime.LockOSThread()
		result <- e.enter(f)
	}()
	return <-result
}

func (e *Engine) enter(f func() error) error {
	ns, err := os.Open("/run/netns/" + e.NetNS)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", e.NetNS, err)
	}
	return f()
}
