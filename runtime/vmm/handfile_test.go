package vmm

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHandFile has a monitor read through the descriptor that it was handed.
func TestHandFile(t *testing.T) {
	conn, theirs, err := SocketPair("monitor")
	if err != nil {
		t.Fatal(err)
	}
	server, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	got := make(chan string, 1)
	go func() {
		fmt.Fprintln(server, `{"QMP": {}}`)
		for id := 1; ; id++ {
			buf, oob := make([]byte, 1024), make([]byte, 64)
			n, oobn, _, _, err := server.(*net.UnixConn).ReadMsgUnix(buf, oob)
			if err != nil {
				return
			}
			if strings.Contains(string(buf[:n]), `"getfd"`) {
				got <- string(buf[:n]) + readHanded(oob[:oobn])
			}
			fmt.Fprintf(server, "{\"return\": {}, \"id\": %d}\n", id)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	q, err := NewQMP(ctx, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "through the pipe")
	w.Close()
	err = q.HandFile(ctx, "net5tap0", r)
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"execute":"getfd","arguments":{"fdname":"net5tap0"},"id":2}` + "\nthrough the pipe"
	if text := <-got; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// readHanded reads all that the descriptor of a control message has.
func readHanded(oob []byte) string {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return fmt.Sprintf("%d control messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return fmt.Sprintf("%d descriptors, %v", len(fds), err)
	}
	f := os.NewFile(uintptr(fds[0]), "handed")
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
