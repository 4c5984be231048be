package agent

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
)

// stage is a process of the container before its program runs.
type stage struct {
	channel channel
	proc    int // the guest's own /proc, which shows this process
}

// Stage is the main function of a stage. It returns only when there is nothing
// to run; its agent knows why.
func Stage() {
	serveOrders(stageFD)
}

// StagePID1 is Stage for the VM's PID 1, which has its orders from the agent
// beside it on the descriptor and becomes the entrypoint as the kernel would
// have started it: with every capability, its console as all of its standard
// descriptors and no terminal that controls it. Its mounts are those of the
// VM's first mount namespace.
func StagePID1(orders int) { serveOrders(orders) }

// serveOrders obeys the orders on the descriptor until one fails.
func serveOrders(orders int) {
	// Credentials, capabilities and the mount namespace belong to the thread,
	// and the thread that calls execve is the one that lives on.
	runtime.LockOSThread()
	s := &stage{channel: channel{fd: orders}}
	// The program shall have the standard descriptors alone. A kernel before
	// 5.11 cannot do this at once; the agent itself leaks none.
	if unix.CloseRange(stageFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil {
		unix.CloseOnExec(orders)
	}
	if err := s.prepare(); err != nil {
		_ = s.channel.send(report{Failed: failure(err)})
		return
	}
	for {
		var o order
		fds, err := s.channel.receive(&o)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = s.obey(&o, fds)
		}
		r := report{}
		if err != nil {
			r.Failed = failure(err)
		}
		if err := s.channel.send(r); err != nil || r.Failed != nil {
			return
		}
	}
}

func (s *stage) prepare() error {
	// The container's processes may see this one, and shall not open what it
	// has open.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("protect the process: %w", err)
	}
	var err error
	s.proc, err = unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /proc: %w", err)
	}
	return nil
}

// obey carries out one order. A run order that succeeds does not return.
func (s *stage) obey(o *order, fds []int) error {
	switch {
	case o.Share != nil:
		if err := s.isolate(); err != nil {
			return err
		}
		return rootfs.MountShare(o.Share.Tag, o.Share.Dir)
	case o.Root != nil:
		if err := s.isolate(); err != nil {
			return err
		}
		if err := rootfs.Build(*o.Root); err != nil {
			return err
		}
		return rootfs.Enter(o.Root.Root, o.Root.Share)
	case o.Run != nil:
		return s.run(o.Run, fds)
	}
	return errors.New("an empty order")
}

// isolate keeps what is mounted here from the namespace that it was copied
// from.
func (s *stage) isolate() error {
	// Modes are given in full.
	unix.Umask(0)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	return nil
}

// run makes the stage what the specification says, then executes the program.
func (s *stage) run(o *runOrder, fds []int) error {
	spec := &o.Spec
	if !o.Init {
		if len(fds) == 0 {
			return errors.New("the container's mount namespace is missing")
		}
		if err := joinMounts(fds[0]); err != nil {
			return err
		}
		fds = fds[1:]
	}
	if err := s.setOOMScore(spec.OOMScoreAdj); err != nil {
		return err
	}
	if !o.PID1 { // an init starts its own
		// It fails for a session leader alone, which a forked process is not.
		if _, err := unix.Setsid(); err != nil {
			return fmt.Errorf("start a session: %w", err)
		}
	}
	if o.Init {
		if err := makeCwd(spec.Cwd); err != nil {
			return err
		}
	}
	if err := s.connect(o, fds); err != nil {
		return err
	}
	if err := setLimits(spec.Rlimits); err != nil {
		return err
	}
	if err := giveStdio(spec.User); err != nil {
		return err
	}
	env := environment(spec.Env, spec.User.UID)
	become := becomeUser
	if o.PID1 {
		become, env = becomeInit, machineEnvironment(env)
	}
	// As with runc: while it may, unless it may later.
	if !spec.NoNewPrivileges {
		if err := install(o.Filter); err != nil {
			return err
		}
	}
	if err := become(spec); err != nil {
		return err
	}
	path, err := lookPath(spec.Args[0], env)
	if err != nil {
		return err
	}
	if err := s.channel.send(report{Executing: true}); err != nil {
		return err
	}
	if spec.NoNewPrivileges {
		if err := install(o.Filter); err != nil {
			return err
		}
	}
	err = execError(path, syscall.Exec(path, spec.Args, env))
	if o.Init && !o.PID1 {
		// By now runc has said that the container runs.
		fmt.Fprintln(os.Stderr, err)
		unix.Exit(codeFailedExec) // as the program would have: nothing is deferred
	}
	return err
}

// codeFailedExec is the exit code of an entrypoint that the kernel refuses to
// execute: runc's.
const codeFailedExec = 1

// joinMounts joins a mount namespace and its root. The kernel wants a caller
// that shares its root and working directory with no other thread.
func joinMounts(mountNS int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the shared root: %w", err)
	}
	if err := unix.Setns(mountNS, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("join the container's mount namespace: %w", err)
	}
	return nil
}

// setOOMScore writes the process's adjustment, relative to the /proc that the
// stage began with.
func (s *stage) setOOMScore(score *int) error {
	if score == nil {
		return nil
	}
	fd, err := unix.Openat(s.proc, "self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		_, err = unix.Write(fd, fmt.Append(nil, *score))
	}
	if err != nil {
		return fmt.Errorf("set oom_score_adj to %d: %w", *score, err)
	}
	return nil
}

// makeCwd makes the entrypoint's working directory, as runc does.
func makeCwd(cwd string) error {
	if cwd == "" {
		return nil
	}
	return os.MkdirAll(cwd, 0o755)
}

// connect makes descriptors 0 to 2: the given ones, /dev/null for those that
// are missing, or the terminal or console for all.
func (s *stage) connect(o *runOrder, fds []int) error {
	if o.Console != "" {
		return openConsole(o)
	}
	if o.Spec.Terminal || o.PID1 {
		return s.openTerminal(o)
	}
	if len(fds) != len(o.Stdio) {
		return fmt.Errorf("%d descriptors came for %d", len(fds), len(o.Stdio))
	}
	given := [3]bool{}
	for i, fd := range o.Stdio {
		if fd < 0 || fd > 2 {
			return fmt.Errorf("%d is not a standard descriptor", fd)
		}
		given[fd] = true
		if err := unix.Dup3(fds[i], fd, 0); err != nil {
			return fmt.Errorf("connect descriptor %d: %w", fd, err)
		}
	}
	// The container's own, which it can open again by name. Without one, the
	// guest's, which descriptor 0 or 1 was from the beginning.
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	defer unix.Close(null)
	for fd, ok := range given {
		if ok {
			continue
		}
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("connect descriptor %d: %w", fd, err)
		}
	}
	return nil
}
