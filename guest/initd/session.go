package initd

import (
	"io"

	"github.com/hashicorp/yamux"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// serve serves the supervisor's streams until the session ends, and returns
// why.
func serve(port io.ReadWriteCloser, a *agent.Agent, b *boot) error {
	if err := api.Greet(port); err != nil {
		return err
	}
	session, err := yamux.Server(port, api.SessionConfig())
	if err != nil {
		return err
	}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return err
		}
		guarded(func() { dispatch(session, stream, a, b) })
	}
}

// dispatch gives a stream to who serves its kind.
func dispatch(session *yamux.Session, stream *yamux.Stream, a *agent.Agent, b *boot) {
	var open api.Open
	if err := api.Read(stream, &open); err != nil {
		_ = stream.Close()
		return
	}
	switch open.Kind {
	case api.KindBoot:
		b.serve(session, stream)
	case api.KindNetwork:
		b.serveNetwork(session, stream)
	case api.KindResources:
		b.serveResources(stream)
	case api.KindClock:
		serveClock(stream)
	case api.KindProcesses:
		b.serveProcesses(stream)
	case api.KindProcess:
		a.ServeProcess(stream)
	case api.KindStdio:
		a.ServeStdio(open, stream)
	default:
		_ = stream.Close()
	}
}

// serveProcesses tells what runs in the container.
func (b *boot) serveProcesses(stream *yamux.Stream) {
	defer stream.Close()
	all, err := b.agent.Processes()
	if err != nil {
		all.Error = oneLine(err)
	}
	_ = api.Write(stream, all)
}
