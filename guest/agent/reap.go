package agent

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper waits for every child of this process: those that it started and the
// orphans that the kernel gives to PID 1. Nothing else may wait for children.
type Reaper struct {
	mu      sync.Mutex
	waiting map[int]chan<- unix.WaitStatus
}

// NewReaper returns a reaper that works from now on.
func NewReaper() *Reaper {
	r := &Reaper{waiting: make(map[int]chan<- unix.WaitStatus)}
	// One pending signal is enough: a sweep takes all that have ended.
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			r.sweep()
		}
	}()
	return r
}

// start calls fork, which returns a new child's PID. The child cannot be reaped
// before it is known. Its status comes on the channel, once.
func (r *Reaper) start(fork func() (int, error)) (int, <-chan unix.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err != nil {
		return 0, nil, err
	}
	status := make(chan unix.WaitStatus, 1)
	r.waiting[pid] = status
	return pid, status, nil
}

// signal sends a signal to a child of ours. One that has been reaped is gone:
// its PID may be another's by now.
func (r *Reaper) signal(pid int, sig unix.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[pid]; !ok {
		return unix.ESRCH
	}
	return unix.Kill(pid, sig)
}

func (r *Reaper) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		if w, ok := r.waiting[pid]; ok {
			delete(r.waiting, pid)
			w <- status
		}
	}
}
