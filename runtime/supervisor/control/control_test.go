package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/guest/api"
)

// listen serves the control socket in dir with serve.
func listen(t *testing.T, dir string, serve func(*net.UnixConn)) {
	t.Helper()
	// The path may be longer than an address: bind below the folder's descriptor,
	// as Dial connects.
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd())), SocketName)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
}

func TestAttachCarriesFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	listen(t, dir, func(conn *net.UnixConn) {
		var req Request
		if err := api.Read(conn, &req); err != nil || req.Attach == nil || req.Attach.Token != "t" {
			t.Errorf("request = %+v, %v", req, err)
			return
		}
		files, err := ReceiveFiles(conn, 3)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = files[1].WriteString("through the descriptor")
		for _, f := range files {
			f.Close()
		}
		_ = api.Write(conn, api.ProcessEvent{Exited: &api.Exited{Code: 5}})
	})
	conn, err := Dial(t.Context(), dir, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := api.Write(conn, Request{Attach: &Attach{Token: "t"}}); err != nil {
		t.Fatal(err)
	}
	if err := SendFiles(conn, r, w, w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var event api.ProcessEvent
	if err := api.Read(conn, &event); err != nil || event.Exited == nil || event.Exited.Code != 5 {
		t.Errorf("event = %+v, %v", event, err)
	}
	buf := make([]byte, 64)
	n, err := r.Read(buf)
	if err != nil || string(buf[:n]) != "through the descriptor" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func TestReceiveWithoutFiles(t *testing.T) {
	dir := t.TempDir()
	got := make(chan error, 1)
	listen(t, dir, func(conn *net.UnixConn) {
		_, err := ReceiveFiles(conn, 3)
		got <- err
	})
	conn, err := Dial(t.Context(), dir, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err == nil {
		t.Error("a byte without descriptors was taken for three files")
	}
}

func TestDial(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := Dial(ctx, filepath.Join(t.TempDir(), "none"), func() bool { return true }); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no folder: %v", err)
	}
	dir := t.TempDir()
	if _, err := Dial(ctx, dir, func() bool { return false }); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody listens and none will: %v", err)
	}
	tries := 0
	conn, err := Dial(ctx, dir, func() bool {
		if tries++; tries == 3 { // the supervisor comes up meanwhile
			listen(t, dir, func(*net.UnixConn) {})
		}
		return true
	})
	if err != nil {
		t.Fatalf("a supervisor that comes late: %v", err)
	}
	conn.Close()
}

func TestCallReportsTheSupervisorsError(t *testing.T) {
	dir := t.TempDir()
	listen(t, dir, func(conn *net.UnixConn) {
		var req Request
		_ = api.Read(conn, &req)
		_ = api.Write(conn, Reply{Error: "stopping"})
	})
	conn, err := Dial(t.Context(), dir, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := Call(t.Context(), conn, Request{Signal: &Signal{Number: 15}}); err == nil || err.Error() != "stopping" {
		t.Errorf("Call = %v", err)
	}
}
