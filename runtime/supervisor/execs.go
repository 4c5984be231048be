package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// attachLimit is how long a started process waits for its stdio before it is
// killed: `runc exec` has failed, or was killed, in between.
const attachLimit = time.Minute

// execs are the processes that were started by `exec` and wait for their
// relay.
type execs struct {
	mu      sync.Mutex
	waiting map[string]*process
	ready   chan struct{} // closed when processes may start
}

func (e *execs) init() {
	e.waiting = map[string]*process{}
	e.ready = make(chan struct{})
}

// open lets exec requests that came during the boot go on.
func (e *execs) open() { close(e.ready) }

// put keeps p for its relay and returns the token by which that asks for it.
func (e *execs) put(p *process) string {
	token := rand.Text()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[token] = p
	time.AfterFunc(attachLimit, func() {
		if p := e.take(token); p != nil {
			p.abandon()
		}
	})
	return token
}

// take returns the process that waits under token, once; nil when none does.
func (e *execs) take(token string) *process {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.waiting[token]
	delete(e.waiting, token)
	return p
}

// abandon kills p, whose stdio nobody wants any more.
func (p *process) abandon() {
	_ = p.control(api.ProcessControl{Signal: int(syscall.SIGKILL)})
	p.close()
}

// listenControl serves the control socket until the process ends.
func (s *Supervisor) listenControl(ctx context.Context) error {
	path := filepath.Join(s.dir, control.SocketName)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return fmt.Errorf("listen on the control socket: %w", err)
	}
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go s.serveControl(ctx, conn)
		}
	}()
	return nil
}

func (s *Supervisor) serveControl(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	var req control.Request
	if err := api.Read(conn, &req); err != nil {
		return
	}
	var reply control.Reply
	switch {
	case req.Exec != nil:
		reply = s.execProcess(ctx, req.Exec)
	case req.Signal != nil:
		s.signal(req.Signal.Number)
	case req.Await:
		// If it never is, the connection ends with the supervisor, which has
		// written ErrorFile by then.
		select {
		case <-s.execs.ready:
		case <-s.breakpoints.reached:
		}
	case req.Update != nil:
		reply = s.update(ctx, req.Update)
	case req.Clock:
		reply = s.setClock(ctx)
	case req.Processes:
		reply = s.processes(ctx)
	case req.Debug != nil:
		reply.Breakpoint = s.breakpoints.at(req.Debug.Continue)
	case req.Attach != nil:
		if err := s.relay(conn, req.Attach.Token); err != nil {
			s.log.Warn("relay an exec", "error", err)
		}
		return
	default:
		reply.Error = control.NoContent
	}
	if err := api.Write(conn, reply); err != nil && reply.Token != "" {
		if p := s.execs.take(reply.Token); p != nil {
			p.abandon()
		}
	}
}

// awaitEntrypoint waits until the entrypoint runs.
func (s *Supervisor) awaitEntrypoint(ctx context.Context) error {
	select {
	case <-s.execs.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stopping:
		return errors.New("the container is stopping")
	}
}

// processes asks the guest what runs in the container.
func (s *Supervisor) processes(ctx context.Context) control.Reply {
	ctx, cancel := context.WithTimeout(ctx, control.ProcessesLimit)
	defer cancel()
	if err := s.awaitEntrypoint(ctx); err != nil {
		return control.Reply{Error: err.Error()}
	}
	all, err := s.guest.processes(ctx)
	if err == nil && all.Error != "" {
		err = errors.New(all.Error)
	}
	if err != nil {
		return control.Reply{Error: err.Error()}
	}
	return control.Reply{Processes: &all}
}

// execProcess starts a process once the entrypoint runs.
func (s *Supervisor) execProcess(ctx context.Context, req *control.Exec) control.Reply {
	if err := s.awaitEntrypoint(ctx); err != nil {
		return control.Reply{Error: err.Error()}
	}
	request := api.Process{Spec: req.Process, PlainNewlines: req.PlainNewlines}
	if req.NoInput {
		request.Stdio = outputAlone
	}
	p, err := s.guest.exec(request)
	var start *startError
	switch {
	case errors.As(err, &start):
		return control.Reply{Failed: &start.Failed}
	case err != nil:
		return control.Reply{Error: err.Error()}
	}
	return control.Reply{Token: s.execs.put(p)}
}

// relay connects the descriptors that come over conn to a waiting process, and
// conn to its control. When conn closes before the process ends, the process
// is killed, as it would be had the relay been the process. What others of its
// processes write afterwards still goes to the descriptors.
func (s *Supervisor) relay(conn *net.UnixConn, token string) error {
	files, err := control.ReceiveFiles(conn, 3)
	if err != nil {
		return err
	}
	p := s.execs.take(token)
	if p == nil {
		closeFiles(files)
		return errors.New("no process waits under this token")
	}
	output := p.attach(files[0], files[1], files[2])
	defer func() {
		files[0].Close()
		if in := p.stdio[0]; in != nil {
			in.Close()
		}
		p.stream.Close()
		go func() {
			output.awaitEnd()
			closeFiles(files[1:])
		}()
	}()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			var c api.ProcessControl
			if err := api.Read(conn, &c); err != nil {
				return
			}
			_ = p.control(c)
		}
	}()
	select {
	case exited, ok := <-p.exited:
		if !ok {
			return errGuestGone
		}
		output.await(exited.Output)
		return api.Write(conn, api.ProcessEvent{Exited: &exited})
	case <-gone:
		return p.control(api.ProcessControl{Signal: int(syscall.SIGKILL)})
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// Relay stands in the container for a process in the VM that was started under
// token: it lends its stdio, passes its signals and its terminal's size on, and
// returns the process's exit code.
func Relay(dir, token string, stdio Stdio) (int, error) {
	signals := notify()
	ctx, cancel := context.WithTimeout(context.Background(), attachLimit)
	defer cancel()
	conn, err := control.Dial(ctx, dir, func() bool { return false })
	if err != nil {
		return FailureCode, err
	}
	defer conn.Close()
	terminal := term.IsTerminal(int(stdio.In.Fd()))
	if terminal {
		restore, err := rawTerminal(stdio.In)
		if err != nil {
			return FailureCode, fmt.Errorf("set the terminal to raw mode: %w", err)
		}
		defer restore()
	}
	if err := api.Write(conn, control.Request{Attach: &control.Attach{Token: token}}); err != nil {
		return FailureCode, err
	}
	if err := control.SendFiles(conn, stdio.In, stdio.Out, stdio.Err); err != nil {
		return FailureCode, fmt.Errorf("lend the supervisor our stdio: %w", err)
	}
	go relaySignals(conn, signals, stdio.In, terminal)
	var event api.ProcessEvent
	if err := api.Read(conn, &event); err != nil || event.Exited == nil {
		return FailureCode, errors.New("the VM ended before this process did")
	}
	return event.Exited.Code, nil
}

// relaySignals sends what the relay receives to the process that it stands
// for.
func relaySignals(conn *net.UnixConn, signals <-chan os.Signal, in *os.File, terminal bool) {
	if terminal {
		_ = api.Write(conn, api.ProcessControl{Resize: windowSize(in)})
	}
	for sig := range signals {
		n, ok := sig.(syscall.Signal)
		switch {
		case !ok || ignoredSignals[n]:
		case n == syscall.SIGWINCH && terminal:
			_ = api.Write(conn, api.ProcessControl{Resize: windowSize(in)})
		default:
			_ = api.Write(conn, api.ProcessControl{Signal: int(n)})
		}
	}
}
