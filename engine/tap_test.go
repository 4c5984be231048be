package engine_test

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// openTap makes a tap in a network namespace of its own; both go away with the
// descriptor.
func openTap(t *testing.T) *os.File {
	t.Helper()
	type result struct {
		tap *os.File
		err error
	}
	made := make(chan result)
	go func() {
		// The thread is never unlocked: it ends with the goroutine, in its namespace.
		runtime.LockOSThread()
		tap, err := makeTap()
		made <- result{tap, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatalf("make a tap: %v", r.err)
	}
	t.Cleanup(func() { r.tap.Close() })
	return r.tap
}

// makeTap opens a tap with a header of virtio-net, named by the kernel.
func makeTap() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq("")
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, request)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
