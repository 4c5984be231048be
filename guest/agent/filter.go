package agent

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// install puts the calling thread under a filter of its system calls, see
// seccomp(2); nothing for nil. What the thread executes inherits it.
func install(f *api.SyscallFilter) error {
	if f == nil {
		return nil
	}
	const instruction = int(unsafe.Sizeof(unix.SockFilter{}))
	if len(f.Program) == 0 || len(f.Program)%instruction != 0 {
		return errors.New("the seccomp profile is no filter program")
	}
	program := unix.SockFprog{
		Len:    uint16(len(f.Program) / instruction), //nolint:gosec // the kernel checks it
		Filter: (*unix.SockFilter)(unsafe.Pointer(&f.Program[0])),
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(f.Flags), uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(f)
	if errno != 0 {
		return fmt.Errorf("install the seccomp profile: %w", errno)
	}
	return nil
}
