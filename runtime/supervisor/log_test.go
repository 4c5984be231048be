package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/runtime/vmm"
)

func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	log, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	console := &logWriter{log: log, name: "console"}
	for range 100 {
		if n, err := console.Write([]byte(strings.Repeat("x", maxLog/50))); n != maxLog/50 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, LogFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > maxLog+100 || !strings.HasSuffix(string(data), "the log is full\"}\n") {
		t.Errorf("%d bytes, ending in %q", len(data), data[len(data)-60:])
	}
}

// TestLinesOfTheConsole writes as a serial console does: byte by byte.
func TestLinesOfTheConsole(t *testing.T) {
	var out bytes.Buffer
	w := &logWriter{log: slog.New(slog.NewJSONHandler(&out, nil)), name: "console"}
	for _, b := range []byte("first\r\n\r\nsecond\nthe last") {
		_, _ = w.Write([]byte{b})
	}
	_, _ = w.Write(bytes.Repeat([]byte("x"), maxLine))
	w.flush()
	var texts []string
	for line := range strings.Lines(out.String()) {
		var record struct{ Text string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, record.Text)
	}
	rest := maxLine - len("the last")
	want := []string{"first", "second", "the last" + strings.Repeat("x", rest), strings.Repeat("x", maxLine-rest)}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLastWordsOfTheLog(t *testing.T) {
	dir := t.TempDir()
	if got := LastWords(dir); got != "" {
		t.Errorf("without a log: %q", got)
	}
	log, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("start", "name", "QEMU")
	_, _ = (&logWriter{log: log, name: "QEMU"}).Write([]byte("no such \x1b[31mdevice\n"))
	log.Info("the network has changed", "added", 1)
	log.Error("the VM ended", "error", errors.New("QEMU failed"))
	if got, want := LastWords(dir), "; its last words: no such [31mdevice | the VM ended: QEMU failed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestStillborn: QEMU that ends before it greets has said why.
func TestStillborn(t *testing.T) {
	conn, theirs, err := vmm.SocketPair("monitor")
	if err != nil {
		t.Fatal(err)
	}
	child, err := vmm.StartChild(nameQEMU, []string{"/bin/sh", "-c", "echo no such device >&2; exit 3"}, nil, []*os.File{theirs}, new(bytes.Buffer), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	_, err = vmm.NewQMP(t.Context(), conn, nil)
	if err == nil {
		t.Fatal("a shell greets as QEMU does")
	}
	s := &Supervisor{qemu: child}
	if got, want := s.stillborn(err).Error(), "QEMU failed with exit code 3; its last words: no such device"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
