package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// What the measurements of the network send.
const (
	networkMiB  = 64   // by TCP
	floodMiB    = 8    // by UDP
	roundTrips  = 500  // of a byte
	connections = 200  // one after another
	serverPort  = 7000 // of the echo server
	sinkPort    = 7001
)

// network compares what two containers on a network do with each other, under runc
// and under runcvm: throughput both ways are the same, as each is the other's.
func (b *bench) network(ctx context.Context) error {
	fmt.Printf("\ntwo containers on a network, medians of %d\n", b.samples)
	options, err := b.withProbe(ctx)
	if err != nil {
		return err
	}
	if _, err := b.docker(ctx, "network", "create", "bench"); err != nil {
		return err
	}
	defer func() { _, _ = b.docker(context.WithoutCancel(ctx), "network", "rm", "bench") }()
	options = append(options, "--network", "bench")
	runtimes := []string{"runc", "runcvm"}
	for _, runtime := range runtimes {
		for _, role := range []string{"server", "client"} {
			remove, err := b.idle(ctx, runtime+"-"+role, runtime, options...)
			if err != nil {
				return err
			}
			defer remove()
		}
		for verb, port := range map[string]int{"serve": serverPort, "sink": sinkPort} {
			if _, err := b.docker(ctx, "exec", "--detach", runtime+"-server", "probe", verb, ":"+strconv.Itoa(port)); err != nil {
				return err
			}
		}
	}
	for _, what := range []struct {
		name, verb string
		port       int
		count      int64
		per        func(time.Duration) string
	}{
		{"TCP, " + strconv.Itoa(networkMiB) + " MiB", "pour", sinkPort, networkMiB << 20, rate(networkMiB)},
		{"TCP, there and back", "rtt", serverPort, roundTrips, nil},
		{"TCP, " + strconv.Itoa(connections) + " connections", "connect", serverPort, connections, nil},
	} {
		fmt.Println(what.name)
		var figures []figure
		for _, runtime := range runtimes {
			server := fmt.Sprintf("%s-server:%d", runtime, what.port)
			figures = append(figures, figure{runtime, func(ctx context.Context) (time.Duration, error) {
				return b.nanos(ctx, runtime+"-client", "probe", what.verb, server, strconv.FormatInt(what.count, 10))
			}})
		}
		m, err := medians(ctx, b.samples, figures...)
		if err != nil {
			return err
		}
		if what.per != nil {
			fmt.Printf("  %-44s %9s\n  %-44s %9s\n", "runc", what.per(m[0]), "runcvm", what.per(m[1]))
		}
		ratio("runcvm / runc", m[1], m[0])
	}
	return b.flood(ctx, runtimes)
}

// flood compares how much of a stream of datagrams comes back, and how fast.
func (b *bench) flood(ctx context.Context, runtimes []string) error {
	fmt.Printf("UDP, %d MiB to a server that sends them back\n", floodMiB)
	best := map[string]float64{}
	for range b.samples {
		for _, runtime := range runtimes {
			out, err := b.docker(ctx, "exec", runtime+"-client", "probe", "flood", fmt.Sprintf("%s-server:%d", runtime, serverPort), strconv.Itoa(floodMiB<<20))
			if err != nil {
				return err
			}
			var nanos, bytes int64
			if _, err := fmt.Sscan(out, &nanos, &bytes); err != nil {
				return err
			}
			best[runtime] = max(best[runtime], float64(bytes)/(1<<20)/(float64(nanos)/1e9))
		}
	}
	for _, runtime := range runtimes {
		fmt.Printf("  %-44s %7.1f MiB/s came back, the best of %d\n", runtime, best[runtime], b.samples)
	}
	fmt.Printf("  %-44s %8.2fx\n", "runc / runcvm", best["runc"]/best["runcvm"])
	return nil
}

// rate says how fast so many mebibytes went.
func rate(mib int) func(time.Duration) string {
	return func(d time.Duration) string { return fmt.Sprintf("%.0f MiB/s", float64(mib)/d.Seconds()) }
}
