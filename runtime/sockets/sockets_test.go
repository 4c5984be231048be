package sockets

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
)

// networks are package net's names.
var networks = map[string]string{
	plan.SocketStream: "unix", plan.SocketSeqpacket: "unixpacket", plan.SocketDatagram: "unixgram",
}

// open opens the socket at a path until the test ends.
func open(t *testing.T, path string) *Socket {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// serve listens at a path, whose name is longer than an address can be.
func serve(t *testing.T, kind string) (*net.UnixListener, string) {
	t.Helper()
	dir := t.TempDir()
	network := networks[kind]
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: network})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	t.Cleanup(func() { listener.Close() })
	long := filepath.Join(dir, strings.Repeat("d", 120))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(long, "s")
	if err := os.Rename(filepath.Join(dir, "s"), path); err != nil {
		t.Fatal(err)
	}
	return listener, path
}

// receiver receives datagrams at a path.
func receiver(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, path
}

func TestType(t *testing.T) {
	for _, kind := range []string{plan.SocketStream, plan.SocketSeqpacket} {
		listener, path := serve(t, kind)
		if got := open(t, path).Type(); got != kind {
			t.Errorf("%q, want %q", got, kind)
		}
		if kind == plan.SocketStream {
			// It has heard of nothing.
			_ = listener.SetDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := listener.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the server got %v", err)
			}
		}
		listener.Close()
		if got := open(t, path).Type(); got != plan.SocketStream {
			t.Errorf("without a server: %q", got)
		}
	}
	conn, path := receiver(t)
	if got := open(t, path).Type(); got != plan.SocketDatagram {
		t.Errorf("%q, want a socket of datagrams", got)
	}
	_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the receiver got %d bytes, %v", n, err)
	}
}

func TestOpenRefusesOthers(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, "/dev/null"} {
		if _, err := Open(path); !errors.Is(err, ErrNotSocket) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

// TestOpenedStays replaces a server by one at the same path.
func TestOpenedStays(t *testing.T) {
	old, path := serve(t, plan.SocketStream)
	if err := unix.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if s.Mode != 0o660 || int(s.UID) != os.Getuid() || int(s.GID) != os.Getgid() {
		t.Errorf("%+v", s)
	}
	if conn, err := s.Connect(plan.SocketStream, User{}); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	other, second := serve(t, plan.SocketStream)
	defer other.Close()
	if err := os.Rename(second, path); err != nil {
		t.Fatal(err)
	}
	if conn, err := s.Connect(plan.SocketStream, User{}); err != nil {
		t.Errorf("the socket that was opened: %v", err)
	} else {
		conn.Close()
	}
	old.Close()
	if _, err := s.Connect(plan.SocketStream, User{}); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("after its server's end: %v", err)
	}
}

// TestConnectAsUser has the server see who connects, and the kernel decide by
// the socket's permissions.
func TestConnectAsUser(t *testing.T) {
	testkit.Require(t, testkit.Root)
	listener, path := serve(t, plan.SocketStream)
	if err := os.Chown(path, 0, 4242); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if _, err := s.Connect(plan.SocketStream, User{UID: 1234, GID: 1234}); !errors.Is(err, unix.EACCES) {
		t.Errorf("a user whom the socket does not let in: %v", err)
	}
	for range 20 { // on whatever threads
		if _, err := s.Connect(plan.SocketStream, User{UID: 1234, GID: 1235, Groups: []uint32{4242, 7}}); err != nil {
			t.Fatal(err)
		}
		conn, err := listener.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		user, groups := peer(t, conn)
		if user.Uid != 1234 || user.Gid != 1235 || !slices.Equal(groups, []uint32{7, 4242}) {
			t.Fatalf("the server sees %+v with %v", user, groups)
		}
		conn.Close()
	}
	if uid := unix.Geteuid(); uid != 0 {
		t.Errorf("this thread is %d", uid)
	}
	// Each thread is root, with all that root may.
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) == 0 {
		t.Fatal(err)
	}
	var first string
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		var rights []string
		for line := range strings.Lines(string(text)) {
			if key, _, _ := strings.Cut(line, ":"); slices.Contains([]string{"Uid", "Gid", "Groups", "CapEff"}, key) {
				rights = append(rights, line)
			}
		}
		if first == "" {
			first = strings.Join(rights, "")
		}
		if got := strings.Join(rights, ""); got != first || !strings.Contains(got, "Uid:\t0\t0\t0\t0") {
			t.Errorf("%s:\n%s\nand others\n%s", task, got, first)
		}
	}
}

// peer asks the kernel who has connected.
func peer(t *testing.T, conn *net.UnixConn) (user *unix.Ucred, groups []uint32) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	groups = make([]uint32, 10)
	size := uint32(len(groups) * 4)
	cerr := raw.Control(func(fd uintptr) {
		if user, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			err = errno
		}
	})
	if err = errors.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	return user, groups[:size/4]
}

// TestConnectWaits has a server whose backlog is full.
func TestConnectWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	const callers = 3
	connected := make(chan error, callers)
	for range callers {
		go func() {
			conn, err := s.Connect(plan.SocketStream, User{})
			if err == nil {
				defer conn.Close()
				_, err = io.WriteString(conn, "x")
			}
			connected <- err
		}()
	}
	for range callers {
		conn, _, err := unix.Accept(fd)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(conn)
	}
	for range callers {
		if err := <-connected; err != nil {
			t.Error(err)
		}
	}
}

func TestDatagrams(t *testing.T) {
	testkit.Require(t, testkit.Root)
	conn, path := receiver(t)
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	d, err := open(t, path).Datagrams()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Send([]byte("text"), 12, 34); err != nil {
		t.Fatal(err)
	}
	data, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := conn.ReadMsgUnix(data, oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	sender, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil || sender.Uid != 12 || sender.Gid != 34 || string(data[:n]) != "text" {
		t.Errorf("%q from %+v, %v", data[:n], sender, err)
	}
	conn.Close()
	if err := d.Send([]byte("text"), 0, 0); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("without a receiver: %v", err)
	}
}
