package vsock

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
)

// needDevice skips the test where the host has no vsock for VMs. The KVM lab
// has it.
func needDevice(t *testing.T) {
	t.Helper()
	p := Probe()
	switch {
	case p.Usable:
	case os.Getenv("RUNCVM_KVM_ACCEL") == "kvm":
		t.Fatal(p.Reason)
	default:
		t.Skip(p.Reason)
	}
}

func TestCandidates(t *testing.T) {
	a, b := Candidates("a"), Candidates("b")
	// These stay: a machine is to have the same address on every host.
	if diff := cmp.Diff([]uint32{0x5492769f, 0x4fefc4f3}, a[:2]); diff != "" {
		t.Errorf("the first of \"a\" (-want +got):\n%s", diff)
	}
	if len(a) != candidates || !slices.Equal(a, Candidates("a")) {
		t.Errorf("%d candidates, others the second time", len(a))
	}
	seen := map[uint32]bool{}
	for _, cid := range slices.Concat(a, b) {
		if cid < 1<<30 || cid >= 1<<31 || seen[cid] {
			t.Errorf("%#x is out of range or there twice", cid)
		}
		seen[cid] = true
	}
}

// TestReasons opens what is no vhost device.
func TestReasons(t *testing.T) {
	dir := t.TempDir()
	node := filepath.Join(dir, "no-driver")
	// A number that Linux gives to local use (Documentation/admin-guide/devices.txt).
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(60, 255))); err != nil {
		t.Skipf("mknod: %v", err)
	}
	for name, test := range map[string]struct{ device, want string }{
		"missing":   {filepath.Join(dir, "none"), "does not exist: the kernel module vhost_vsock is not loaded"},
		"no driver": {node, "has no driver (no such device or address): the kernel module vhost_vsock is not loaded"},
		"another":   {"/dev/null", "opens, but is no vhost device: VHOST_GET_FEATURES: inappropriate ioctl for device."},
	} {
		t.Run(name, func(t *testing.T) {
			if p := probe(test.device); p.Usable || !strings.Contains(p.Reason, test.want) {
				t.Errorf("%+v, want %q", p, test.want)
			}
			if _, err := take(test.device, "c"); !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("take: %v, want %q", err, test.want)
			}
		})
	}
	for err, want := range map[unix.Errno]string{
		unix.EPERM:  "is denied (operation not permitted): the cgroup",
		unix.EACCES: "may not be opened by this user",
		unix.EBUSY:  "is busy (device or resource busy).",
		unix.ENODEV: "has no driver (no such device)",
		unix.EMFILE: "cannot be opened: too many open files.",
	} {
		if got := openReason("/dev/x", err); !strings.HasPrefix(got, "/dev/x "+want) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// taken takes an address until the test ends.
func taken(t *testing.T, id string) *Address {
	t.Helper()
	a, err := Take(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestTakeTriesTheNext(t *testing.T) {
	needDevice(t)
	id := t.Name()
	list := Candidates(id)
	for n := range list {
		if a := taken(t, id); a.CID != list[n] {
			t.Fatalf("address %d is %#x, want %#x", n, a.CID, list[n])
		}
	}
	_, err := Take(id)
	if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "busy: each of the 32 context ids") {
		t.Errorf("when all are taken: %v", err)
	}
}

// TestTakenPort has another program listen on the port of the first candidate.
func TestTakenPort(t *testing.T) {
	needDevice(t)
	list := Candidates(t.Name())
	other, err := vsock.ListenContextID(vsock.Host, list[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	a := taken(t, t.Name())
	if a.CID != list[1] {
		t.Errorf("took %#x, want %#x", a.CID, list[1])
	}
	// The context id of the port that was not to be had is free.
	device, err := open(Device)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if err := setGuestCID(device, list[0]); err != nil {
		t.Errorf("the first candidate stays taken: %v", err)
	}
}

// TestSameAgain does what QEMU does with the device that it gets.
func TestSameAgain(t *testing.T) {
	needDevice(t)
	a := taken(t, t.Name())
	if err := setGuestCID(a.Device, a.CID); err != nil {
		t.Error(err)
	}
}

func TestHandOver(t *testing.T) {
	needDevice(t)
	list := Candidates(t.Name())
	file, err := taken(t, t.Name()).HandOver()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // as the OCI runtime, which has it all the time
	if next := taken(t, t.Name()); next.CID != list[1] {
		t.Errorf("on its way, the address is free: %#x was taken", next.CID)
	}
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Receive(fd)
	if err != nil {
		t.Fatal(err)
	}
	if a.CID != list[0] {
		t.Errorf("received %#x, want %#x", a.CID, list[0])
	}
	if err := getFeatures(int(a.Device.Fd())); err != nil {
		t.Errorf("what came is not the device: %v", err)
	}
	for _, f := range []*os.File{a.Device, a.socket} {
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("a child would inherit %d: %v", f.Fd(), err)
		}
	}
	a.Close()
	// Nobody has it any more, though the socket is still open.
	if again := taken(t, t.Name()); again.CID != list[0] {
		t.Errorf("the address stays taken: got %#x", again.CID)
	}
}

// TestReceiveOther is about descriptors that are not the address: SELinux, for
// one, gives a program /dev/null for what it may not inherit.
func TestReceiveOther(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if a, err := Receive(int(null.Fd())); err == nil || !strings.Contains(err.Error(), "is not the socket") {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := null.Stat(); err != nil {
		t.Errorf("it was closed: %v", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	if _, err := unix.Write(pair[0], []byte("abcd")); err != nil {
		t.Fatal(err)
	}
	if a, err := Receive(pair[1]); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("%v, %v", a, err)
	}
}

// TestAcceptTurnsOthersAway connects from the host itself, by the kernel's
// loopback.
func TestAcceptTurnsOthersAway(t *testing.T) {
	needDevice(t)
	a := taken(t, t.Name())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type accepted struct {
		conn net.Conn
		err  error
	}
	done := make(chan accepted, 1)
	go func() {
		conn, err := a.Accept(ctx)
		done <- accepted{conn, err}
	}()
	dial, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	conn, err := vsock.DialContext(dial, vsock.Host, a.CID, nil)
	if err != nil {
		t.Fatalf("connect by the loopback (vsock_loopback): %v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stranger was not turned away: %d bytes, %v", n, err)
	}
	select {
	case got := <-done:
		t.Fatalf("the wait for the VM ended: %+v", got)
	default:
	}
	cancel()
	select {
	case got := <-done:
		if !errors.Is(got.err, context.Canceled) {
			t.Errorf("cancelled: %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the wait does not end")
	}
}
