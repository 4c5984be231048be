package sockets

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// User is in whose name a connection is made.
type User struct {
	UID, GID uint32
	Groups   []uint32 // beside GID
}

// do calls f as the user, whose permissions hold. Root is this process itself.
//
// Only the calling thread changes, and it changes back: other threads of this
// process, and what they start, stay who they are. A thread that could not is
// kept from every other use.
func (u User) do(f func() error) (err error) {
	if u.UID == 0 && u.GID == 0 {
		return f()
	}
	before, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("read the groups: %w", err)
	}
	root := make([]uint32, len(before))
	for i, group := range before {
		root[i] = uint32(group)
	}
	runtime.LockOSThread()
	defer func() {
		if rerr := (User{Groups: root}).become(); rerr != nil {
			// A thread with another user's rights runs nothing any more.
			panic(fmt.Sprintf("become root again: %v", rerr))
		}
		runtime.UnlockOSThread()
	}()
	if err := u.become(); err != nil {
		return fmt.Errorf("become the user %d: %w", u.UID, err)
	}
	return f()
}

// become makes the thread's effective user and groups those of u. The real ones
// stay, by which there is a way back.
func (u User) become() error {
	root := u.UID == 0
	if root { // first, since the rest takes its rights
		if err := setEffectiveUser(0); err != nil {
			return err
		}
	}
	var first unsafe.Pointer
	if len(u.Groups) > 0 {
		first = unsafe.Pointer(&u.Groups[0])
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(u.Groups)), uintptr(first), 0)
	runtime.KeepAlive(u.Groups)
	if errno != 0 {
		return fmt.Errorf("setgroups: %w", errno)
	}
	keep := ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(u.GID), keep); errno != 0 {
		return fmt.Errorf("setresgid: %w", errno)
	}
	if !root {
		return setEffectiveUser(u.UID)
	}
	return nil
}

func setEffectiveUser(uid uint32) error {
	keep := ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
		return fmt.Errorf("setresuid: %w", errno)
	}
	return nil
}
