package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/runcvm/runcvm/guest/api"
)

// guest is the supervisor's end of the agent stream.
type guest struct {
	session *yamux.Session
	boot    *yamux.Stream
	events  chan api.Event
	nextID  int
	idMu    sync.Mutex
}

// greeted waits for the guest's greeting until ctx is done.
func greeted(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	err := api.AwaitGreeting(conn)
	if !stop() {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		return errGuestGone
	}
	return err
}

// servers serve the streams that the guest opens, by their kind.
type servers map[api.Kind]func(stream io.ReadWriteCloser, open api.Open)

// connectGuest starts the multiplexer on conn, which it owns.
func connectGuest(conn net.Conn, serve servers) (*guest, error) {
	session, err := yamux.Client(api.JoinFrames(conn), api.SessionConfig())
	if err != nil {
		return nil, fmt.Errorf("start the agent stream: %w", err)
	}
	g := &guest{session: session, events: make(chan api.Event, 4)}
	go g.accept(serve)
	return g, nil
}

// Bounds of the streams that the guest may have open: each costs memory of the
// host. Of a kind there are as many, so that one cannot take the place of
// another; those beyond wait.
const (
	maxGuestStreams  = 1024
	maxStreamsOfKind = max(256, api.MaxSocketConnections)
)

// accept serves the streams that the guest opens.
func (g *guest) accept(serve servers) {
	all := make(chan struct{}, maxGuestStreams)
	kinds := map[api.Kind]chan struct{}{}
	for kind := range serve {
		kinds[kind] = make(chan struct{}, maxStreamsOfKind)
	}
	for {
		stream, err := g.session.AcceptStream()
		if err != nil {
			return
		}
		all <- struct{}{}
		go func() {
			defer func() { <-all }()
			var open api.Open
			if err := api.Read(stream, &open); err != nil || serve[open.Kind] == nil {
				stream.Close()
				return
			}
			kinds[open.Kind] <- struct{}{}
			defer func() { <-kinds[open.Kind] }()
			serve[open.Kind](stream, open)
		}()
	}
}

// open opens a stream and says what it is for.
func (g *guest) open(o api.Open) (*yamux.Stream, error) {
	stream, err := g.session.OpenStream()
	if err != nil {
		return nil, fmt.Errorf("open a stream to the guest: %w", err)
	}
	if err := api.Write(stream, o); err != nil {
		stream.Close()
		return nil, fmt.Errorf("open a stream to the guest: %w", err)
	}
	return stream, nil
}

// start sends the boot configuration and waits until the guest is ready.
func (g *guest) start(ctx context.Context, boot api.Boot) (api.Event, error) {
	var err error
	if g.boot, err = g.open(api.Open{Kind: api.KindBoot}); err != nil {
		return api.Event{}, err
	}
	if err := api.Write(g.boot, boot); err != nil {
		return api.Event{}, fmt.Errorf("send the boot configuration: %w", err)
	}
	go func() {
		defer close(g.events)
		for {
			var event api.Event
			if err := api.Read(g.boot, &event); err != nil {
				return
			}
			g.events <- event
		}
	}()
	event, err := g.event(ctx)
	switch {
	case err != nil:
		return event, err
	case event.Type == api.EventFailed:
		return event, errors.New(event.Message)
	case event.Type != api.EventReady:
		return event, fmt.Errorf("the guest answered %q to its boot configuration", event.Type)
	}
	return event, nil
}

// errGuestGone means that the guest closed its end of the agent stream.
var errGuestGone = errors.New("the guest closed the agent stream")

func (g *guest) event(ctx context.Context) (api.Event, error) {
	select {
	case <-ctx.Done():
		return api.Event{}, ctx.Err()
	case event, ok := <-g.events:
		if !ok {
			return event, errGuestGone
		}
		return event, nil
	}
}

// shutdown asks the guest to end everything, to sync and to power off, and
// waits until its file systems are safe.
func (g *guest) shutdown(ctx context.Context) error {
	if err := api.Write(g.boot, api.Control{Shutdown: true}); err != nil {
		return fmt.Errorf("ask the guest to shut down: %w", err)
	}
	event, err := g.event(ctx)
	if err != nil {
		return fmt.Errorf("wait for the guest to sync: %w", err)
	}
	if event.Type != api.EventSynced {
		return fmt.Errorf("the guest answered %q to a shutdown", event.Type)
	}
	return nil
}

// change has the guest follow a change of what surrounds it: the message is that
// of the kind.
func (g *guest) change(ctx context.Context, kind api.Kind, message any) error {
	var event api.Event
	if err := g.ask(ctx, kind, message, &event); err != nil {
		return err
	}
	if event.Type != api.EventReady {
		return errors.New(event.Message)
	}
	return nil
}

// processes has the guest tell what runs in the container.
func (g *guest) processes(ctx context.Context) (all api.Processes, err error) {
	return all, g.ask(ctx, api.KindProcesses, nil, &all)
}

// ask opens a stream of the kind, sends the message, where there is one, and reads
// the answer.
func (g *guest) ask(ctx context.Context, kind api.Kind, message, answer any) error {
	stream, err := g.open(api.Open{Kind: kind})
	if err != nil {
		return err
	}
	defer stream.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := stream.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if message != nil {
		if err := api.Write(stream, message); err != nil {
			return fmt.Errorf("tell the guest of its %s: %w", kind, err)
		}
	}
	if err := api.Read(stream, answer); err != nil {
		return fmt.Errorf("wait for the guest's answer about its %s: %w", kind, err)
	}
	return nil
}

// process is a process in the VM, started or about to be.
type process struct {
	stdio   [3]*yamux.Stream // nil for a terminal's stderr, and for no input
	stream  *yamux.Stream
	writeMu sync.Mutex

	started api.Started
	exited  chan api.Exited // closed without a value when the guest went away
}

// startError is a process that the guest could not start.
type startError struct{ api.Failed }

func (e *startError) Error() string { return e.Message }

// exec starts a process; it fills in the request's ID and, unless that has been
// said, its Stdio. The error is a *startError when the guest could not execute it.
func (g *guest) exec(request api.Process) (*process, error) {
	p := &process{exited: make(chan api.Exited, 1)}
	g.idMu.Lock()
	g.nextID++
	request.ID = strconv.Itoa(g.nextID)
	g.idMu.Unlock()
	switch {
	case request.Console != "" || request.Stdio != nil:
	case request.Spec.Terminal:
		request.Stdio = []int{0, 1}
	default:
		request.Stdio = []int{0, 1, 2}
	}
	if err := g.begin(p, request); err != nil {
		p.close()
		return nil, err
	}
	go func() {
		defer close(p.exited)
		var event api.ProcessEvent
		if err := api.Read(p.stream, &event); err == nil && event.Exited != nil {
			p.exited <- *event.Exited
		}
	}()
	return p, nil
}

// begin opens p's streams, asks for the process and reads how it started.
func (g *guest) begin(p *process, request api.Process) (err error) {
	for _, fd := range request.Stdio {
		if p.stdio[fd], err = g.open(api.Open{Kind: api.KindStdio, Process: request.ID, FD: fd}); err != nil {
			return err
		}
	}
	if p.stream, err = g.open(api.Open{Kind: api.KindProcess}); err != nil {
		return err
	}
	if err := api.Write(p.stream, request); err != nil {
		return fmt.Errorf("ask the guest for a process: %w", err)
	}
	var event api.ProcessEvent
	if err := api.Read(p.stream, &event); err != nil {
		return fmt.Errorf("wait for the guest to start a process: %w", errors.Join(errGuestGone, err))
	}
	switch {
	case event.Failed != nil:
		return &startError{*event.Failed}
	case event.Started == nil:
		return errors.New("the guest did not say whether a process started")
	}
	p.started = *event.Started
	return nil
}

// close gives up p's streams.
func (p *process) close() {
	for _, s := range append(p.stdio[:], p.stream) {
		if s != nil {
			s.Close()
		}
	}
}

func (p *process) control(c api.ProcessControl) error {
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	return api.Write(p.stream, c)
}
