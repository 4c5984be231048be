// Command probe is what the conformance suites run inside containers where
// Debian's minbase has no program for the job. It is static.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  probe interfaces              every interface but lo: name, MAC, MTU, addresses but link-local ones
  probe serve ADDRESS           a TCP and UDP echo server
  probe echo ADDRESS BYTES      sends random bytes to an echo server and compares what comes back
  probe datagram ADDRESS BYTES  one unfragmented datagram to an echo server and back
  probe sink ADDRESS            a TCP server that tells how many bytes came
  probe pour ADDRESS BYTES      sends bytes to a sink: the nanoseconds until all had arrived
  probe rtt ADDRESS COUNT       single bytes to an echo server: the median until each was back, in nanoseconds
  probe connect ADDRESS COUNT   connections to an echo server, one after another: nanoseconds for all
  probe flood ADDRESS BYTES     bytes to an echo server as datagrams of 1400: the nanoseconds that it took, and how many bytes came back
  probe channels INTERFACE      how many pairs of queues it uses, of how many
  probe dns udp|tcp SERVER NAME the addresses of a name, as this server tells them
  probe unix VERB SOCKET ...    a client of a unix socket: say, bulk, many, leave, hold, packets, datagrams, answers or fill
  probe random FILE COUNT       reads 4 KiB at each of so many random places of a file: the nanoseconds for all
  probe map FILE MIB            fills a new file through a shared mapping, without a sync
`

// counted are the commands that take an address or a file, and a number.
var counted = map[string]func(stdout io.Writer, where string, n int64) error{
	"echo": echo, "datagram": datagram, "pour": pour, "rtt": rtt, "connect": connect, "flood": flood, "random": readRandom,
}

var errUsage = errors.New("unknown command")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "probe: %v\n", err)
		if errors.Is(err, errUsage) {
			fmt.Fprint(os.Stderr, usage)
		}
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "interfaces":
		return interfaces(stdout)
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 2 && args[0] == "sink":
		return sink(args[1])
	case len(args) == 2 && args[0] == "channels":
		return channels(stdout, args[1])
	case len(args) == 3 && counted[args[0]] != nil:
		n, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return err
		}
		if n < 1 {
			return fmt.Errorf("%d: at least 1 is needed", n)
		}
		return counted[args[0]](stdout, args[1], n)
	case len(args) == 4 && args[0] == "dns":
		return lookup(stdout, args[1], args[2], args[3])
	case len(args) >= 3 && args[0] == "unix":
		return unixClient(stdout, args[1], args[2], args[3:])
	case len(args) == 3 && args[0] == "map":
		mib, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return fillMapping(args[1], mib<<20)
	}
	return errUsage
}

func interfaces(w io.Writer) error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return err
		}
		var list []string
		for _, a := range addrs {
			// Link-local addresses follow from the MAC, a little after the rest.
			if n, ok := a.(*net.IPNet); ok && n.IP.IsLinkLocalUnicast() {
				continue
			}
			list = append(list, a.String())
		}
		slices.Sort(list)
		fmt.Fprintln(w, i.Name, i.HardwareAddr, i.MTU, strings.Join(list, " "))
	}
	return nil
}

// serve sends back what connections bring.
func serve(address string) error {
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	defer packets.Close()
	go echoPackets(packets)
	return accept(address, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}

// accept hands each connection to handle, and closes it afterwards.
func accept(address string, handle func(net.Conn)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			handle(conn)
		}()
	}
}

// echo connects, with retries while nothing listens yet, sends size random
// bytes, closes its direction and reads to the end.
func echo(w io.Writer, address string, size int64) error {
	conn, err := dial(address, 30*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent, sendErr := sha256.New(), make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.MultiWriter(conn, sent), rand.Reader, size)
		sendErr <- errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	}()
	received := sha256.New()
	n, err := io.Copy(received, conn)
	if err := errors.Join(err, <-sendErr); err != nil {
		return err
	}
	if n != size || string(sent.Sum(nil)) != string(received.Sum(nil)) {
		return fmt.Errorf("sent %d bytes (%x), received %d (%x)", size, sent.Sum(nil), n, received.Sum(nil))
	}
	fmt.Fprintf(w, "%d bytes echoed\n", n)
	return nil
}

func dial(address string, limit time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(limit)
	for {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// lookup asks one server by one transport: the resolver takes a connection
// that is no net.PacketConn for TCP.
func lookup(w io.Writer, network, server, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
	addrs, err := r.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	slices.Sort(addrs)
	fmt.Fprintln(w, strings.Join(addrs, " "))
	return nil
}

// fillMapping leaves it to the kernel to write the pages out.
func fillMapping(path string, size int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		return err
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	for i := range m {
		m[i] = 'm'
	}
	return syscall.Munmap(m)
}
