package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// transports compares the agent's two transports.
func (b *bench) transports(ctx context.Context) ([]row, error) {
	names := []string{"virtio-serial", "vsock"}
	var machines []*machine
	for i, name := range names {
		m, err := b.newMachine(fmt.Sprintf("agent%d", i), fmt.Sprintf("agent {\n  transport = %q\n}", name), nil, "sleep", "infinity")
		if err != nil {
			return nil, err
		}
		defer m.remove(ctx)
		if err := m.start(ctx); err != nil {
			return nil, err
		}
		machines = append(machines, m)
	}
	compare := func(what string, u unit, of func(*machine) func(context.Context) (float64, error)) row {
		return row{what: what, unit: u, first: choice{names[0], of(machines[0])}, second: choice{names[1], of(machines[1])}}
	}
	return measure(ctx, b.samples,
		compare("exec of true", milliseconds, func(m *machine) func(context.Context) (float64, error) {
			return timed(func(ctx context.Context) error { return m.exec(ctx, nil, nil, "true") })
		}),
		compare("a byte there and back through an exec", microseconds, func(m *machine) func(context.Context) (float64, error) { return m.roundTrip }),
		compare("a stream into an exec", mibPerSecond, func(m *machine) func(context.Context) (float64, error) {
			return rate(b.mib, func(ctx context.Context) error {
				return m.exec(ctx, io.LimitReader(zeros{}, int64(b.mib)<<20), nil, "sh", "-c", "cat > /dev/null")
			})
		}),
		compare("a stream out of an exec", mibPerSecond, func(m *machine) func(context.Context) (float64, error) {
			return rate(b.mib, func(ctx context.Context) error {
				return m.exec(ctx, nil, io.Discard, "head", "-c", fmt.Sprint(b.mib<<20), "/dev/zero")
			})
		}),
	)
}

// zeros is read without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// roundTrip sends single bytes through an exec of cat.
func (m *machine) roundTrip(ctx context.Context) (float64, error) {
	const count = 100
	cmd := m.command(ctx, "exec", m.id, "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	one := []byte{0}
	var start time.Time
	for i := range count + 1 {
		if i == 1 {
			start = time.Now() // the first waited for the exec's start
		}
		if _, err := in.Write(one); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(out, one); err != nil {
			return 0, err
		}
	}
	took := time.Since(start)
	if err := in.Close(); err != nil {
		return 0, err
	}
	return float64(took.Microseconds()) / count, cmd.Wait()
}

// networks compares who moves the machine's frames.
func (b *bench) networks(ctx context.Context) ([]row, error) {
	return b.onWires(ctx, [2]string{"virtio-net", "vhost-net"},
		[2]string{"network {\n  vhost = \"off\"\n}", "network {\n  vhost = \"on\"\n}"}, true)
}

// halts compares who waits when a vCPU has nothing to do.
func (b *bench) halts(ctx context.Context) ([]row, error) {
	return b.onWires(ctx, [2]string{"halt_poll host", "halt_poll guest"},
		[2]string{"kvm {\n  halt_poll = \"host\"\n}", "kvm {\n  halt_poll = \"guest\"\n}"}, false)
}

// onWires compares two machines that differ in their profile, by their network.
func (b *bench) onWires(ctx context.Context, names, profiles [2]string, bulk bool) ([]row, error) {
	var rtt, out, in [2]choice
	for i, name := range names {
		w, err := b.newWire()
		if w != nil {
			defer w.remove()
		}
		if err != nil {
			return nil, err
		}
		m, err := b.newMachine(fmt.Sprintf("wire%d", b.wires), profiles[i], w, "probe", "sink", w.containerAddress+":9")
		if err != nil {
			return nil, err
		}
		defer m.remove(ctx)
		if err := m.start(ctx); err != nil {
			return nil, err
		}
		if err := w.serve(ctx, "serve", w.peerAddress+":7"); err != nil {
			return nil, err
		}
		if err := w.serve(ctx, "sink", w.peerAddress+":9"); err != nil {
			return nil, err
		}
		rtt[i] = choice{name, func(ctx context.Context) (float64, error) {
			ns, err := m.number(ctx, "rtt", w.peerAddress+":7", "300")
			return ns / 1000, err
		}}
		out[i] = choice{name, func(ctx context.Context) (float64, error) {
			ns, err := m.number(ctx, "pour", w.peerAddress+":9", fmt.Sprint(b.mib<<20))
			return float64(b.mib) / (ns / 1e9), err
		}}
		in[i] = choice{name, func(ctx context.Context) (float64, error) {
			said, err := w.atPeer(ctx, "pour", w.containerAddress+":9", fmt.Sprint(b.mib<<20)).Output()
			var ns float64
			if err == nil {
				_, err = fmt.Sscan(string(said), &ns)
			}
			return float64(b.mib) / (ns / 1e9), err
		}}
	}
	rows := []row{{what: "a byte from the guest to its peer and back", unit: microseconds, first: rtt[0], second: rtt[1]}}
	if bulk {
		rows = append(rows,
			row{what: "a stream from the guest to its peer", unit: mibPerSecond, first: out[0], second: out[1]},
			row{what: "a stream from the peer to the guest", unit: mibPerSecond, first: in[0], second: in[1]})
	}
	return measure(ctx, b.samples, rows...)
}
