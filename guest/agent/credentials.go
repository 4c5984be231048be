package agent

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// becomeUser changes to the working directory and gives up every right that
// the specification does not grant, in runc's order. All of it is the calling
// thread's, which must be locked.
func becomeUser(spec *specs.Process) error {
	umask := 0o022
	if spec.User.Umask != nil {
		umask = int(*spec.User.Umask)
	}
	unix.Umask(umask)

	// First as root, then, if it may not, as the user.
	chdirErr := chdir(spec.Cwd)
	if chdirErr != nil && !isPermission(chdirErr) {
		return chdirErr
	}
	sets, err := parseCapabilities(spec.Capabilities)
	if err != nil {
		return err
	}
	if err := dropBounding(sets.bounding); err != nil {
		return err
	}
	if err := setUser(spec.User); err != nil {
		return err
	}
	if chdirErr != nil {
		if err := chdir(spec.Cwd); err != nil {
			return err
		}
	}
	if err := sets.apply(); err != nil {
		return err
	}
	if spec.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return nil
}

func isPermission(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

func chdir(cwd string) error {
	if cwd == "" {
		cwd = "/"
	}
	err := unix.Chdir(cwd)
	if err == nil {
		return nil
	}
	code := 1
	if isPermission(err) {
		code = codeNotExecutable
	}
	// runc's words.
	return &chdirError{
		startError{Code: code, Message: fmt.Sprintf("chdir to cwd (%q) set in config.json failed: %v", cwd, err)},
		err,
	}
}

// chdirError is a startError that keeps its cause.
type chdirError struct {
	start startError
	cause error
}

func (e *chdirError) Error() string   { return e.start.Message }
func (e *chdirError) Unwrap() []error { return []error{&e.start, e.cause} }

// setUser changes the thread's groups and user; capabilities stay permitted.
// The functions of package syscall would change every thread.
func setUser(user specs.User) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep the capabilities: %w", err)
	}
	groups := user.AdditionalGids
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0)
	runtime.KeepAlive(groups)
	if errno != 0 {
		return fmt.Errorf("set the groups %v: %w", groups, errno)
	}
	gid, uid := uintptr(user.GID), uintptr(user.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return fmt.Errorf("become the group %d: %w", user.GID, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("become the user %d: %w", user.UID, errno)
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep the capabilities: %w", err)
	}
	return nil
}

// giveStdio makes the user the owner of the standard descriptors, so that
// /dev/stdout and its like can be opened by name.
func giveStdio(user specs.User) error {
	null := unix.Mkdev(1, 3)
	for fd := range 3 {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("look at descriptor %d: %w", fd, err)
		}
		if st.Uid == user.UID || (st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == null) {
			continue
		}
		// The group stays: a terminal's is "tty".
		if err := unix.Fchown(fd, int(user.UID), int(st.Gid)); err != nil {
			return fmt.Errorf("give descriptor %d to the user %d: %w", fd, user.UID, err)
		}
	}
	return nil
}

func setLimits(list []specs.POSIXRlimit) error {
	for _, l := range list {
		resource, ok := api.Limits[l.Type]
		if !ok {
			return fmt.Errorf("%q is not a resource limit", l.Type)
		}
		// Package syscall's, since it then knows that the limit on open files is
		// ours and does not restore another one at exec.
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard}); err != nil {
			return fmt.Errorf("set %s to %d:%d: %w", l.Type, l.Soft, l.Hard, err)
		}
	}
	return nil
}
