// Package vmm talks to the virtual machine monitor. Today that is QEMU by its
// monitor protocol, QMP.
package vmm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrClosed is returned by Execute when QEMU closed the monitor.
var ErrClosed = errors.New("QEMU closed its monitor")

// Event is an asynchronous QMP event.
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// CommandError is QEMU's refusal of a command.
type CommandError struct {
	Command string
	Class   string
	Desc    string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("QEMU refused %q: %s", e.Command, e.Desc)
}

// QMP is a client of QEMU's machine protocol
// (https://www.qemu.org/docs/master/interop/qmp-spec.html). Its methods may be
// called concurrently.
type QMP struct {
	conn    io.ReadWriteCloser
	onEvent func(Event)
	done    chan struct{}

	mu      sync.Mutex // guards the fields below and the order of writes
	nextID  uint64
	pending map[uint64]chan reply
	err     error // why no further command can be sent
}

type reply struct {
	result json.RawMessage
	err    *qmpError
}

type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

// message is any of the objects that QEMU sends.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Event
	ID     *uint64         `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
}

// NewQMP reads the greeting, leaves the negotiation mode and returns a client
// that owns conn. onEvent, when not nil, is called from the reading goroutine
// and must not wait for a command.
func NewQMP(ctx context.Context, conn io.ReadWriteCloser, onEvent func(Event)) (*QMP, error) {
	q := &QMP{conn: conn, onEvent: onEvent, pending: map[uint64]chan reply{}, done: make(chan struct{})}
	dec := json.NewDecoder(conn)
	var greeting message
	if err := dec.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("read QEMU's greeting: %w", err)
	}
	if greeting.Greeting == nil {
		return nil, errors.New("QEMU's monitor did not begin with a greeting")
	}
	go q.read(dec)
	if err := q.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		return nil, err
	}
	return q, nil
}

// Execute runs a command. args is marshalled to the arguments object (nil for
// none); the return value is unmarshalled into result unless that is nil. The
// error is a *CommandError when QEMU refused, ErrClosed when it went away.
func (q *QMP) Execute(ctx context.Context, command string, args, result any) error {
	return q.execute(ctx, command, args, result, nil)
}

// HandFile gives QEMU a descriptor of f, which its next command names name.
func (q *QMP) HandFile(ctx context.Context, name string, f *os.File) error {
	return q.execute(ctx, "getfd", map[string]string{"fdname": name}, nil, f)
}

// execute is Execute that sends a descriptor along, unless f is nil.
func (q *QMP) execute(ctx context.Context, command string, args, result any, f *os.File) error {
	answer := make(chan reply, 1)
	id, err := q.send(command, args, answer, f)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		q.mu.Lock()
		delete(q.pending, id)
		q.mu.Unlock()
		return fmt.Errorf("QEMU did not answer %q: %w", command, ctx.Err())
	case r, ok := <-answer:
		switch {
		case !ok:
			return ErrClosed
		case r.err != nil:
			return &CommandError{Command: command, Class: r.err.Class, Desc: r.err.Desc}
		case result == nil:
			return nil
		}
		return json.Unmarshal(r.result, result)
	}
}

func (q *QMP) send(command string, args any, answer chan reply, f *os.File) (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return 0, q.err
	}
	q.nextID++
	body, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, args, q.nextID})
	if err != nil {
		return 0, fmt.Errorf("encode the arguments of %q: %w", command, err)
	}
	q.pending[q.nextID] = answer
	if err := q.write(append(body, '\n'), f); err != nil {
		delete(q.pending, q.nextID)
		return 0, ErrClosed
	}
	return q.nextID, nil
}

// write sends a message, with a descriptor of f unless that is nil.
func (q *QMP) write(message []byte, f *os.File) error {
	if f == nil {
		_, err := q.conn.Write(message)
		return err
	}
	conn, ok := q.conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("descriptors go through unix sockets, not through %T", q.conn)
	}
	// One write takes it whole: it is far smaller than the socket's buffer.
	_, _, err := conn.WriteMsgUnix(message, unix.UnixRights(int(f.Fd())), nil)
	return err
}

// read dispatches what QEMU sends until it closes the connection.
func (q *QMP) read(dec *json.Decoder) {
	defer close(q.done)
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			q.fail()
			return
		}
		switch {
		case m.Name != "":
			if q.onEvent != nil {
				q.onEvent(m.Event)
			}
		case m.ID != nil:
			q.mu.Lock()
			answer := q.pending[*m.ID]
			delete(q.pending, *m.ID)
			q.mu.Unlock()
			if answer != nil {
				answer <- reply{m.Return, m.Error}
			}
		}
	}
}

func (q *QMP) fail() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = ErrClosed
	for id, answer := range q.pending {
		close(answer)
		delete(q.pending, id)
	}
}

// Done is closed when QEMU has closed the connection and its last event has been
// handled.
func (q *QMP) Done() <-chan struct{} { return q.done }

// Close closes the connection; commands that wait return ErrClosed.
func (q *QMP) Close() error { return q.conn.Close() }
