package supervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/runcvm/runcvm/runtime/vmm"
)

// LogFile is the supervisor's log in the state folder.
const LogFile = "supervisor.log"

// maxLog bounds the log, in bytes: it lies in the host's memory, and what the
// guest's console says goes into it.
const maxLog = 1 << 20

// openLog opens the log in dir.
func openLog(dir string) (*slog.Logger, error) {
	file, err := os.OpenFile(filepath.Join(dir, LogFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the supervisor's log: %w", err)
	}
	handler := slog.NewJSONHandler(&boundedFile{file: file, room: maxLog}, &slog.HandlerOptions{Level: slog.LevelDebug})
	return slog.New(handler), nil
}

// boundedFile drops what does not fit any more, after a last line that says so.
type boundedFile struct {
	mu   sync.Mutex
	file *os.File
	room int
}

func (b *boundedFile) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.room < 0:
	case len(line) > b.room:
		b.room = -1
		_, _ = b.file.WriteString(`{"level":"WARN","msg":"the log is full"}` + "\n")
	default:
		b.room -= len(line)
		return b.file.Write(line)
	}
	return len(line), nil
}

// LastWords are the last lines of the log in dir that QEMU, virtiofsd, the guest's
// console or a failure has left, for the end of a one-line message; empty when
// there are none.
func LastWords(dir string) string {
	file, err := os.Open(filepath.Join(dir, LogFile))
	if err != nil {
		return ""
	}
	defer file.Close()
	tail := vmm.NewTail()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLog)
	for lines.Scan() {
		var record struct {
			Message string `json:"msg"`
			Text    string `json:"text"`  // of a line of output
			Error   string `json:"error"` // of a failure
		}
		if json.Unmarshal(lines.Bytes(), &record) != nil {
			continue
		}
		switch {
		case record.Message == outputMessage:
			_, _ = fmt.Fprintln(tail, record.Text)
		case record.Error != "":
			_, _ = fmt.Fprintf(tail, "%s: %s\n", record.Message, record.Error)
		}
	}
	return tail.Quote()
}

// outputMessage marks records with a line of output.
const outputMessage = "output"

// maxLine bounds a line of a child's output, in bytes.
const maxLine = 4 << 10

// logWriter sends a child's output to the supervisor's log, a record for each
// line: a serial console arrives byte by byte.
type logWriter struct {
	log  *slog.Logger
	name string
	line []byte // what has come of the next line
}

func (w *logWriter) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' {
			w.line = append(w.line, b)
		}
		if b == '\n' || len(w.line) == maxLine {
			w.flush()
		}
	}
	return len(p), nil
}

// flush logs what has come without an end of line.
func (w *logWriter) flush() {
	if text := strings.TrimRight(string(w.line), "\r"); text != "" {
		w.log.Info(outputMessage, "from", w.name, "text", text)
	}
	w.line = w.line[:0]
}
