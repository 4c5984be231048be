package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// unixClient is a client of a unix socket. The server is the suite's.
func unixClient(stdout io.Writer, verb, path string, args []string) error {
	var number int
	if len(args) > 0 {
		number, _ = strconv.Atoi(args[0]) // of those verbs that take one
	}
	switch verb {
	case "say":
		return say(stdout, path, args)
	case "bulk":
		return bulk(stdout, path, number<<20)
	case "many":
		return many(stdout, path, number)
	case "leave":
		return leave(path)
	case "hold":
		return hold(path)
	case "packets":
		return packets(stdout, path)
	case "datagrams":
		return datagrams(path, args)
	case "answers":
		return answers(stdout, path, number)
	case "fill":
		return fill(stdout, path, number<<20)
	}
	return errUsage
}

// dialUnix connects, and says in a word what the kernel says else.
func dialUnix(network, path string) (*net.UnixConn, error) {
	conn, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, errors.New("refused")
	case errors.Is(err, syscall.EACCES):
		return nil, errors.New("denied")
	}
	return conn, err
}

// say sends a line to the server, ends its direction, and shows what comes back.
func say(stdout io.Writer, path string, args []string) error {
	answer, err := ask(path, args...)
	fmt.Fprint(stdout, answer)
	return err
}

func ask(path string, args ...string) (string, error) {
	conn, err := dialUnix("unix", path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	for _, arg := range args {
		if _, err := fmt.Fprintf(conn, "%s ", arg); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintln(conn); err != nil {
		return "", err
	}
	if err := conn.CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// stallTime is how long nothing goes before a connection counts as full.
const stallTime = 2 * time.Second

// bulk sends bytes to a server that does not read them before it hears that no
// more go, and reads the same bytes of it, which it does not before it hears the
// same of the server. It tells how many went each time.
func bulk(stdout io.Writer, path string, size int) error {
	conn, err := dialUnix("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, "bulk"); err != nil {
		return err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(rand.Reader, data); err != nil {
		return err
	}
	n, err := writeUntilFull(conn, data)
	if err != nil {
		return err
	}
	if _, err := ask(path, "full"); err != nil {
		return err
	}
	if _, err := conn.Write(data[n:]); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	back, err := ask(path, "when-full")
	if err != nil {
		return err
	}
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, data) {
		return fmt.Errorf("%d of %d bytes came back, or others: %w", len(got), size, err)
	}
	_, err = fmt.Fprintf(stdout, "%d %s\n", n, back)
	return err
}

// writeUntilFull returns how many bytes went before none did.
func writeUntilFull(conn net.Conn, data []byte) (int, error) {
	n := 0
	for n < len(data) {
		if err := conn.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
			return n, err
		}
		m, err := conn.Write(data[n:min(n+64<<10, len(data))])
		n += m
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	return n, conn.SetWriteDeadline(time.Time{})
}

// many has that many connections at once, which the server answers when it has
// all of them.
func many(stdout io.Writer, path string, count int) error {
	answers := make([]string, count)
	failures := make([]error, count)
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { answers[i], failures[i] = ask(path, "meet", strconv.Itoa(count), strconv.Itoa(i)) })
	}
	all.Wait()
	for i, answer := range answers {
		if want := strconv.Itoa(i) + "\n"; failures[i] == nil && answer != want {
			failures[i] = fmt.Errorf("connection %d: %q", i, answer)
		}
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, count, "connections")
	return err
}

// leave closes in the middle of what the server writes without end.
func leave(path string) error {
	conn, err := dialUnix("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, "flood"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 100_000))
	return err
}

// hold waits for the server.
func hold(path string) error {
	conn, err := dialUnix("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, "hold"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// packets sends packets, and tells the sizes of those that come back.
func packets(stdout io.Writer, path string) error {
	conn, err := dialUnix("unixpacket", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	buffer := make([]byte, 256<<10)
	for _, size := range []int{1, 70_000, 5} {
		if _, err := conn.Write(buffer[:size]); err != nil {
			return err
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, n)
	}
	return nil
}

// datagrams sends one for each text.
func datagrams(path string, texts []string) error {
	conn, err := dialUnix("unixgram", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, text := range texts {
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
	}
	return nil
}

// answers asks again and again on one connection, and tells the median of how many
// nanoseconds an answer took.
func answers(stdout io.Writer, path string, count int) error {
	conn, err := dialUnix("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	times := make([]time.Duration, count)
	for i := range times {
		begin := time.Now()
		if _, err := fmt.Fprintln(conn, "ask"); err != nil {
			return err
		}
		if _, err := reader.ReadString('\n'); err != nil {
			return err
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	_, err = fmt.Fprintln(stdout, times[count/2].Nanoseconds())
	return err
}

// fill sends bytes and tells how many nanoseconds it took until the server had
// them.
func fill(stdout io.Writer, path string, size int) error {
	conn, err := dialUnix("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	begin := time.Now()
	if _, err := fmt.Fprintln(conn, "count"); err != nil {
		return err
	}
	chunk := make([]byte, 64<<10)
	for sent := 0; sent < size; sent += len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			return err
		}
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || answer != strconv.Itoa(size)+"\n" {
		return fmt.Errorf("%d bytes went, %q arrived: %w", size, answer, err)
	}
	_, err = fmt.Fprintln(stdout, time.Since(begin).Nanoseconds())
	return err
}
