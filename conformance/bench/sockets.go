package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// socketMiB is what a measurement of a socket's throughput sends.
const socketMiB = 64

// sockets compares how fast a program in a container fills a server on the host
// by a unix socket that is a volume, and how soon it has a short answer.
func (b *bench) sockets(ctx context.Context) error {
	options, err := b.withProbe(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(b.engine.Scratch, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer listener.Close()
	go serveCounts(listener)
	options = append(options, "--volume", path+":/run/s")
	var figures []figure
	for _, verb := range [][]string{{"fill", strconv.Itoa(socketMiB)}, {"answers", "200"}} {
		for _, runtime := range []string{"runc", "runcvm"} {
			name := "sockets-" + runtime
			if verb[0] == "fill" {
				remove, err := b.idle(ctx, name, runtime, options...)
				if err != nil {
					return err
				}
				defer remove()
			}
			figures = append(figures, figure{runtime + ", " + verb[0], func(ctx context.Context) (time.Duration, error) {
				return b.nanos(ctx, name, "probe", "unix", verb[0], "/run/s", verb[1])
			}})
		}
	}
	// The same bytes by the same way, without a socket.
	figures = append(figures, figure{"runcvm, output of an exec", timed(func(ctx context.Context) error {
		_, err := b.docker(ctx, "exec", "sockets-runcvm", "head", "--bytes", strconv.Itoa(socketMiB)+"M", "/dev/zero")
		return err
	})})
	fmt.Printf("\n%d MiB through a unix socket of the host, and a question with its answer, medians of %d\n", socketMiB, b.samples)
	m, err := medians(ctx, b.samples, figures...)
	if err != nil {
		return err
	}
	fmt.Printf("runcvm: %.0f MiB/s\n", socketMiB/m[1].Seconds())
	ratio("runcvm / runc, bytes", m[1], m[0])
	ratio("runcvm / runc, answers", m[3], m[2])
	ratio("runcvm: socket / exec, bytes", m[1], m[4])
	return nil
}

// serveCounts answers "count" with how many bytes follow, and each line "ask" with
// one.
func serveCounts(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for {
				line, err := reader.ReadString('\n')
				if err != nil {
					return
				}
				if line == "count\n" {
					n, _ := io.Copy(io.Discard, reader)
					fmt.Fprintln(conn, n)
					return
				}
				fmt.Fprint(conn, line)
			}
		}()
	}
}
