package vmm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// serveQMP answers each command by what answer returns, one JSON object a
// line, until the connection closes.
func serveQMP(t *testing.T, conn net.Conn, answer func(command string, id uint64) []string) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		fmt.Fprintln(conn, `{"QMP": {"version": {}, "capabilities": []}}`)
		for scanner := bufio.NewScanner(conn); scanner.Scan(); {
			var command struct {
				Execute string `json:"execute"`
				ID      uint64 `json:"id"`
			}
			if err := json.Unmarshal(scanner.Bytes(), &command); err != nil {
				t.Errorf("the client sent %q: %v", scanner.Text(), err)
				return
			}
			lines := []string{fmt.Sprintf(`{"return": {}, "id": %d}`, command.ID)}
			if command.Execute != "qmp_capabilities" {
				lines = answer(command.Execute, command.ID)
			}
			for _, line := range lines {
				if line == "close" {
					conn.Close()
					return
				}
				fmt.Fprintln(conn, line)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
}

func dialQMP(t *testing.T, onEvent func(Event), answer func(string, uint64) []string) *QMP {
	t.Helper()
	ours, theirs := net.Pipe()
	serveQMP(t, theirs, answer)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	q, err := NewQMP(ctx, ours, onEvent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func TestQMPCommands(t *testing.T) {
	events := make(chan Event, 1)
	q := dialQMP(t, func(e Event) { events <- e }, func(command string, id uint64) []string {
		switch command {
		case "query-status":
			return []string{
				`{"event": "RESUME", "data": {"x": 1}, "timestamp": {}}`,
				`{"return": {}, "id": 999}`, // nobody asked for this one
				fmt.Sprintf(`{"return": {"status": "running"}, "id": %d}`, id),
			}
		case "bad":
			return []string{fmt.Sprintf(`{"error": {"class": "GenericError", "desc": "no"}, "id": %d}`, id)}
		}
		return []string{"close"}
	})
	var status struct{ Status string }
	if err := q.Execute(t.Context(), "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Errorf("query-status = %q, %v", status.Status, err)
	}
	if e := <-events; e.Name != "RESUME" {
		t.Errorf("event = %+v", e)
	}
	var refused *CommandError
	if err := q.Execute(t.Context(), "bad", map[string]int{"a": 1}, nil); !errors.As(err, &refused) || refused.Desc != "no" {
		t.Errorf("bad = %v", err)
	}
	if err := q.Execute(t.Context(), "quit", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("quit = %v, want ErrClosed", err)
	}
	if err := q.Execute(t.Context(), "query-status", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end = %v, want ErrClosed", err)
	}
}

func TestQMPWithoutAnswer(t *testing.T) {
	q := dialQMP(t, nil, func(string, uint64) []string { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Execute(ctx, "stop", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Execute = %v, want the context's error", err)
	}
}

func TestTail(t *testing.T) {
	tail := NewTail()
	for i := range 2000 {
		fmt.Fprintf(tail, "line %d\x1b[31m\r\n", i)
	}
	want := "; its last words: line 1994[31m | line 1995[31m | line 1996[31m | line 1997[31m | line 1998[31m | line 1999[31m"
	if got := tail.Quote(); got != want {
		t.Errorf("Quote = %q\nwant %q", got, want)
	}
}

func TestTailOfAPanic(t *testing.T) {
	tail := NewTail()
	fmt.Fprint(tail, "[ 1.0] booting\n[ 2.0] Kernel panic - not syncing: No working init found.\n[ 2.1] CPU: 0\n[ 2.2] Call Trace:\n")
	if got, want := tail.Quote(), "; its last words: [ 2.0] Kernel panic - not syncing: No working init found."; got != want {
		t.Errorf("Quote = %q, want %q", got, want)
	}
}

func TestChildEpitaph(t *testing.T) {
	for script, want := range map[string]string{
		"echo a; echo b >&2; exit 3": "worker failed with exit code 3; its last words: a | b",
		"kill -9 $$":                 "worker was killed by signal 9 (killed)",
		"exit 0":                     "worker ended",
	} {
		c, err := StartChild("worker", []string{"/bin/sh", "-c", script}, nil, nil, NewTail(), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if got := c.Epitaph(); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
}
