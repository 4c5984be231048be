package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// channels tells how many pairs of queues an interface has and uses, as
// "ethtool -l" does.
func channels(w io.Writer, name string) error {
	// struct ethtool_channels of include/uapi/linux/ethtool.h.
	const ethtoolGetChannels = 0x3c
	var c struct {
		cmd, maxRX, maxTX, maxOther, maxCombined, rx, tx, other, combined uint32
	}
	c.cmd = ethtoolGetChannels
	// struct ifreq: the name and, of its union, a pointer.
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	if copy(request.name[:unix.IFNAMSIZ-1], name) != len(name) {
		return fmt.Errorf("the name %q is too long for an interface", name)
	}
	request.data = unsafe.Pointer(&c)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("ETHTOOL_GCHANNELS of %s: %w", name, errno)
	}
	_, err = fmt.Fprintf(w, "%d of %d\n", c.combined, c.maxCombined)
	return err
}

// sink takes what connections bring and answers each with the number of bytes.
func sink(address string) error {
	return accept(address, func(conn net.Conn) {
		// Plain reads: splice(2) would flatter.
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 1<<20))
		if err == nil {
			_, _ = fmt.Fprint(conn, n)
		}
	})
}

// pour sends size bytes to a sink and tells how long it took until all had
// arrived, in nanoseconds.
func pour(w io.Writer, address string, size int64) error {
	conn, err := dial(address, 30*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	chunk := make([]byte, 1<<20)
	start := time.Now()
	for left := size; left > 0; {
		n, err := conn.Write(chunk[:min(left, int64(len(chunk)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	took := time.Since(start)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(answer)); got != fmt.Sprint(size) {
		return fmt.Errorf("sent %d bytes, %q have arrived", size, got)
	}
	_, err = fmt.Fprintln(w, took.Nanoseconds())
	return err
}

// rtt sends single bytes to an echo server, one after another, and tells the
// median of the times until each was back, in nanoseconds.
func rtt(w io.Writer, address string, count int64) error {
	conn, err := dial(address, 30*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	one := []byte{0}
	took := make([]time.Duration, count)
	for i := range took {
		start := time.Now()
		if _, err := conn.Write(one); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, one); err != nil {
			return err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	_, err = fmt.Fprintln(w, took[count/2].Nanoseconds())
	return err
}

// echoPackets sends back datagrams until the socket is closed.
func echoPackets(conn net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(buf[:n], from)
	}
}

// datagram sends size bytes to an echo server in a packet that may not be
// fragmented, again until one comes back: datagrams get lost.
func datagram(w io.Writer, address string, size int64) error {
	conn, err := net.Dial("udp4", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	}); errors.Join(cerr, err) != nil {
		return errors.Join(cerr, err)
	}
	sent, got := make([]byte, size), make([]byte, size+1)
	for i := range sent {
		sent[i] = byte(i)
	}
	for range 30 {
		if _, err := conn.Write(sent); err != nil && !errors.Is(err, unix.ECONNREFUSED) { // nothing listens yet
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(got)
		if err == nil && bytes.Equal(got[:n], sent) {
			_, err = fmt.Fprintf(w, "%d bytes came back\n", n)
			return err
		}
	}
	return fmt.Errorf("%d bytes do not come back from %s", size, address)
}

// connect makes count connections to an echo server, one after another, each with
// a byte there and back, and tells how long all took, in nanoseconds.
func connect(w io.Writer, address string, count int64) error {
	// The name is looked up once.
	server, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	start := time.Now()
	one := []byte{0}
	for range count {
		conn, err := dial(server.String(), 30*time.Second)
		if err != nil {
			return err
		}
		_, err = conn.Write(one)
		if err == nil {
			_, err = io.ReadFull(conn, one)
		}
		if cerr := conn.Close(); err != nil || cerr != nil {
			return errors.Join(err, cerr)
		}
	}
	_, err = fmt.Fprintln(w, time.Since(start).Nanoseconds())
	return err
}

const (
	floodSize = 1400                   // bytes of a datagram, which fits the usual MTU
	floodWait = 500 * time.Millisecond // for the last to come back
)

// flood sends size bytes to an echo server as fast as they go, and tells how long
// it took until the last came back, in nanoseconds, and how many bytes came back:
// what is too much on the way gets lost.
func flood(w io.Writer, address string, size int64) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	type received struct {
		bytes int64
		last  time.Time
	}
	done := make(chan received)
	go func() {
		var r received
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				done <- r
				return
			}
			if err == nil {
				r.bytes, r.last = r.bytes+int64(n), time.Now()
			}
		}
	}()
	start := time.Now()
	packet := make([]byte, floodSize)
	for left := size; left > 0; left -= floodSize {
		// A full queue is a loss like any other.
		if _, err := conn.Write(packet); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(floodWait)); err != nil {
		return err
	}
	r := <-done
	if r.bytes == 0 {
		return fmt.Errorf("nothing came back of %d bytes", size)
	}
	_, err = fmt.Fprintln(w, r.last.Sub(start).Nanoseconds(), r.bytes)
	return err
}
