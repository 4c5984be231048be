package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	log, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	console := logWriter{log, "console"}
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
