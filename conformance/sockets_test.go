package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// socketServer serves the host's side of "probe unix".
type socketServer struct {
	t        *testing.T
	listener *net.UnixListener
	// full is closed when the client of "bulk" has found its direction full, and
	// stalled has the number of bytes when the server has.
	full    chan struct{}
	stalled chan int
	// flooded has why the writes of "flood" ended, and held what became of "hold":
	// nil when it began, then why it ended.
	flooded, held chan error

	mu      sync.Mutex
	meeting []guest
}

// guest is a connection that waits for others, with the number that it gave.
type guest struct {
	conn   net.Conn
	number string
}

// socketAt listens at a path until the test's end.
func socketAt(t *testing.T, path string) *socketServer {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s := &socketServer{
		t: t, listener: listener,
		full: make(chan struct{}), stalled: make(chan int, 1), flooded: make(chan error, 1), held: make(chan error, 2),
	}
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *socketServer) serve(conn *net.UnixConn) {
	_ = conn.SetDeadline(time.Now().Add(commandLimit))
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) == 0 {
		conn.Close()
		return
	}
	if words[0] == "meet" {
		s.meet(conn, words)
		return
	}
	defer conn.Close()
	switch words[0] {
	case "who":
		fmt.Fprintln(conn, peerOf(conn))
	case "echo":
		_, _ = io.Copy(conn, reader)
	case "half": // answers what the client's end lets it know alone
		rest, err := io.ReadAll(reader)
		fmt.Fprintf(conn, "%d bytes and the end %v\n", len(rest), err)
	case "bulk":
		s.bulk(conn, reader)
	case "full":
		close(s.full)
	case "when-full":
		fmt.Fprint(conn, <-s.stalled)
	case "flood":
		for err == nil {
			_, err = conn.Write(make([]byte, 1<<16))
		}
		s.flooded <- err
	case "hold":
		s.held <- nil
		_, err := reader.ReadByte()
		s.held <- err
	case "count":
		n, err := io.Copy(io.Discard, reader)
		if err == nil {
			fmt.Fprintln(conn, n)
		}
	}
}

// meet answers when all connections are there, each with its number.
func (s *socketServer) meet(conn net.Conn, words []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meeting = append(s.meeting, guest{conn, words[2]})
	if strconv.Itoa(len(s.meeting)) != words[1] {
		return
	}
	for _, g := range s.meeting {
		fmt.Fprintln(g.conn, g.number)
		g.conn.Close()
	}
}

func (s *socketServer) bulk(conn *net.UnixConn, reader io.Reader) {
	<-s.full
	data, err := io.ReadAll(reader)
	if err != nil {
		return
	}
	n := 0
	for n < len(data) {
		_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		m, err := conn.Write(data[n:min(n+1<<16, len(data))])
		n += m
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return
		}
	}
	s.stalled <- n
	_ = conn.SetWriteDeadline(time.Now().Add(commandLimit))
	_, _ = conn.Write(data[n:])
}

// peerOf is the user and group whom the kernel names as the client.
func peerOf(conn *net.UnixConn) string {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err.Error()
	}
	var cred *syscall.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || cerr != nil {
		return fmt.Sprint(err, cerr)
	}
	return fmt.Sprintf("%d:%d", cred.Uid, cred.Gid)
}

// mounted are the options for a socket of the host, at the same name below /run.
func mounted(path string) []string {
	return []string{"--volume", path + ":/run/" + filepath.Base(path)}
}

// TestHostSockets has programs in the guest speak with servers on the host, by
// sockets that are volumes.
func TestHostSockets(t *testing.T) {
	start(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	open, private, group := socketAt(t, at("open")), socketAt(t, at("private")), socketAt(t, at("group"))
	for path, mode := range map[string]os.FileMode{at("open"): 0o666, at("private"): 0o600, at("group"): 0o660} {
		if err := errors.Join(os.Chown(path, 0, 4242), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	gone := socketAt(t, at("gone"))
	var options []string
	for _, s := range []*socketServer{open, private, group, gone} {
		options = append(options, mounted(s.listener.Addr().String())...)
	}
	options = append(options, "--volume", at("open")+":/srv/new/folder/socket:ro", "--read-only", "--group-add", "4242", probeImage)

	const look = "stat -c '%n %F %u:%g:%a' /run/open /run/private /run/group /srv/new/folder/socket; ls -ld /srv/new/folder | cut -c1-10"
	wanted := must(t, runOn(t, "runc", nil, append(options, "sh", "-c", look)...))
	c := background(t, append(options, "sleep", "infinity")...)
	want(t, c.exec("sh", "-c", look), harness.Result{Stdout: wanted})
	descriptors := c.descriptors()

	t.Run("both ways", func(t *testing.T) {
		want(t, c.exec("probe", "unix", "say", "/run/open", "half"), harness.Result{Stdout: "0 bytes and the end <nil>\n"})
		want(t, c.exec("probe", "unix", "say", "/srv/new/folder/socket", "half"), harness.Result{Stdout: "0 bytes and the end <nil>\n"})
		const size, most = 16, 8 << 20
		var there, back int
		out := must(t, c.exec("probe", "unix", "bulk", "/run/open", strconv.Itoa(size)))
		if n, err := fmt.Sscan(out, &there, &back); n != 2 || there == 0 || there > most || back == 0 || back > most {
			t.Errorf("%q, %v: want both directions of %d MiB to be full before %d bytes", out, err, size, most)
		}
	})
	t.Run("at once", func(t *testing.T) {
		want(t, c.exec("probe", "unix", "many", "/run/open", "20"), harness.Result{Stdout: "20 connections\n"})
	})
	t.Run("users", func(t *testing.T) {
		for _, k := range []struct{ user, socket, want, failure string }{
			{"root", "private", "0:0\n", ""},
			{"1000:1000", "open", "1000:1000\n", ""},
			{"1000:1000", "group", "1000:1000\n", ""}, // by a supplementary group
			{"1000:4242", "group", "1000:4242\n", ""},
			{"1000:1000", "private", "", "probe: denied\n"},
		} {
			r := c.exec("--user", k.user, "$", "probe", "unix", "say", "/run/"+k.socket, "who")
			equal(t, k.user+" at "+k.socket, [2]string{r.Stdout, r.Stderr}, [2]string{k.want, k.failure})
		}
	})
	t.Run("a reader that leaves", func(t *testing.T) {
		must(t, c.exec("probe", "unix", "leave", "/run/open"))
		if err := <-open.flooded; !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server's writes ended by %v", err)
		}
	})
	t.Run("a server that leaves", func(t *testing.T) {
		want(t, c.exec("probe", "unix", "say", "/run/gone", "who"), harness.Result{Stdout: "0:0\n"})
		gone.listener.Close()
		again := socketAt(t, at("gone")) // as a server that was restarted: another socket
		r := c.exec("probe", "unix", "say", "/run/gone", "who")
		if r.Stdout != "" || underTest() == "runc" && r.Stderr != "probe: refused\n" {
			t.Errorf("%+v", r)
		}
		again.listener.Close()
	})
	t.Run("nothing stays", func(t *testing.T) {
		eventually(t, fmt.Sprintf("%d open descriptors again", descriptors), func() bool { return c.descriptors() == descriptors })
	})
	t.Run("beside an init", func(t *testing.T) {
		vmOnly(t)
		c := background(t, append(mounted(open.listener.Addr().String()), "--env", "RUNCVM_INIT_MODE=exec", probeImage, "sleep", "infinity")...)
		want(t, c.exec("--user", "12:34", "$", "probe", "unix", "say", "/run/open", "who"), harness.Result{Stdout: "12:34\n"})
	})
	t.Run("a machine that ends", func(t *testing.T) {
		must(t, c.exec("--detach", "$", "probe", "unix", "hold", "/run/open"))
		if err := <-open.held; err != nil {
			t.Fatal(err)
		}
		remove(t, "rm", "--force", c.name)
		if err := <-open.held; err == nil {
			t.Error("the server had an answer")
		}
	})
}

// descriptors is how many the container's first process has open.
func (c *container) descriptors() int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.inspect("{{.State.Pid}}"))
	if err != nil {
		c.t.Fatal(err)
	}
	open, err := harness.OpenFiles(pid)
	if err != nil {
		c.t.Fatal(err)
	}
	return open
}

// TestHostSocketsOfMessages has the two other types.
func TestHostSocketsOfMessages(t *testing.T) {
	start(t)
	dir := t.TempDir()
	packets, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(dir, "packets"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	go func() {
		for {
			conn, err := packets.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 256<<10)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					_, _ = conn.Write(buffer[:n])
				}
			}()
		}
	}()
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	raw, err := log.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1) }); err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	if err := os.Chmod(filepath.Join(dir, "log"), 0o666); err != nil {
		t.Fatal(err)
	}
	options := append(mounted(filepath.Join(dir, "packets")), "--volume", filepath.Join(dir, "log")+":/dev/log", "--user", "1000:1001", probeImage)
	if err := os.Chmod(filepath.Join(dir, "packets"), 0o666); err != nil {
		t.Fatal(err)
	}
	want(t, run(t, append(options, "sh", "-c", "stat -c %F /dev/log; probe unix datagrams /dev/log one two; probe unix packets /run/packets")...),
		harness.Result{Stdout: "socket\n1\n70000\n5\n"})
	_ = log.SetReadDeadline(time.Now().Add(commandLimit))
	for _, wanted := range []string{"one", "two"} {
		data, oob := make([]byte, 100), make([]byte, 100)
		n, oobn, _, _, err := log.ReadMsgUnix(data, oob)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
		if err != nil || len(messages) != 1 {
			t.Fatal(messages, err)
		}
		sender, err := syscall.ParseUnixCredentials(&messages[0])
		if err != nil || string(data[:n]) != wanted || sender.Uid != 1000 || sender.Gid != 1001 {
			t.Errorf("%q of %+v, %v, want %q", data[:n], sender, err, wanted)
		}
	}
}

// TestDockerInTheGuest gives the guest the socket of its own engine.
func TestDockerInTheGuest(t *testing.T) {
	e := start(t)
	socket := strings.TrimPrefix(e.Socket(), "unix://")
	client, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	c := background(t, "--volume", socket+":/var/run/docker.sock", "--volume", client+":/usr/local/bin/docker:ro", "--network", "none", image, "sleep", "infinity")
	want(t, c.exec("docker", "version", "--format", "{{.Server.Version}}"),
		docker(t, "version", "--format", "{{.Server.Version}}"))
	want(t, c.exec("docker", "ps", "--filter", "name=^"+c.name+"$", "--format", "{{.Names}} {{.Image}}"),
		harness.Result{Stdout: c.name + " " + image + "\n"})
	// Streams of a connection that HTTP gives up, with standard input and its end.
	name := newName(t)
	want(t, c.execIn(strings.NewReader("in\n"), "--interactive", "$", "docker", "run", "--rm", "--interactive", "--runtime", "runc", "--name", name, image,
		"sh", "-c", "cat; echo error >&2; exit 3"), harness.Result{Stdout: "in\n", Stderr: "error\n", Code: 3})
}

// TestHostSocketRefused is about hosts that do not allow it.
func TestHostSocketRefused(t *testing.T) {
	start(t)
	vmOnly(t)
	s := socketAt(t, filepath.Join(t.TempDir(), "s"))
	r := run(t, append(mounted(s.listener.Addr().String()), "--env", "RUNCVM_VOLUMES_SOCKETS=refuse", image, "true")...)
	if r.Code == 0 || !strings.Contains(r.Stderr, "Socket of the host refused") {
		t.Errorf("%+v", r)
	}
}
