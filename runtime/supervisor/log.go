package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
		w.log.Info("output", "from", w.name, "text", text)
	}
	w.line = w.line[:0]
}
