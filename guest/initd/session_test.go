package initd

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/runcvm/runcvm/guest/api"
)

// sessions returns the two ends of a session: the guest's, and a supervisor's.
func sessions(t *testing.T) (guest, supervisor *yamux.Session) {
	t.Helper()
	ours, theirs := net.Pipe()
	guest, err := yamux.Server(ours, api.SessionConfig())
	if err != nil {
		t.Fatal(err)
	}
	supervisor, err = yamux.Client(theirs, api.SessionConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		supervisor.Close()
		guest.Close()
	})
	return guest, supervisor
}

// eachStream serves the streams of a kind that the guest opens, which no other is.
func eachStream(t *testing.T, supervisor *yamux.Session, kind api.Kind, serve func(stream *yamux.Stream, open api.Open)) {
	for {
		stream, err := supervisor.AcceptStream()
		if err != nil {
			return
		}
		go func() {
			defer stream.Close()
			var open api.Open
			if err := api.Read(stream, &open); err != nil || open.Kind != kind {
				t.Errorf("%+v, %v", open, err)
				return
			}
			serve(stream, open)
		}()
	}
}

// answer plays the supervisor's resolver: it returns each message with its
// network's name behind it.
func answer(t *testing.T, supervisor *yamux.Session) {
	eachStream(t, supervisor, api.KindDNS, func(stream *yamux.Stream, open api.Open) {
		for {
			message, err := readFramed(stream)
			if err != nil {
				return
			}
			writeFramed(stream, append(message, open.Network...))
		}
	})
}

func readFramed(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(r, body)
	return body, err
}

func writeFramed(w io.Writer, body []byte) {
	_, _ = w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...))
}

func TestDNSRelay(t *testing.T) {
	newNetwork(t)
	if err := setUpLoopback(); err != nil {
		t.Fatal(err)
	}
	guest, supervisor := sessions(t)
	go answer(t, supervisor)
	if err := startDNS(guest); err != nil {
		t.Fatal(err)
	}
	udp, err := net.Dial("udp4", "127.0.0.11:53")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	// Garbage is dropped.
	for _, garbage := range []string{"", "x", "short"} {
		if _, err := udp.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
	}
	query := bytes.Repeat([]byte("q"), 600)
	if _, err := udp.Write(query); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2000)
	_ = udp.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := udp.Read(got)
	if want := string(query) + "udp"; err != nil || string(got[:n]) != want {
		t.Errorf("UDP: %q, %v", got[:n], err)
	}

	tcp, err := net.Dial("tcp4", "127.0.0.11:53")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	_ = tcp.SetDeadline(time.Now().Add(10 * time.Second))
	for _, message := range []string{"the first query", strings.Repeat("z", 60000)} {
		writeFramed(tcp, []byte(message))
		if got, err := readFramed(tcp); err != nil || string(got) != message+"tcp" {
			t.Errorf("TCP: %d bytes, %v", len(got), err)
		}
	}
	// The end of the queries is the end of the answers.
	if err := tcp.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(tcp); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestFindPort(t *testing.T) {
	class := t.TempDir()
	for port, name := range map[string]string{"vport0p1": "other\n", "vport0p2": api.PortName + "\n"} {
		if err := os.Mkdir(filepath.Join(class, port), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(class, port, "name"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := findPort(class, api.PortName); got != "/dev/vport0p2" {
		t.Errorf("%q", got)
	}
	if got := findPort(class, "none"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestModulesErrorNamesTheModule(t *testing.T) {
	dir := t.TempDir()
	if err := loadModules(dir, modulesList); err != nil {
		t.Errorf("without a list: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, modulesList), []byte("\nno.ko\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := loadModules(dir, modulesList); err == nil || !strings.Contains(err.Error(), "load the kernel module no.ko: no such file or directory") {
		t.Errorf("%v", err)
	}
}

func TestOneLine(t *testing.T) {
	if got := oneLine(io.ErrUnexpectedEOF); got != "unexpected EOF" {
		t.Errorf("%q", got)
	}
}
