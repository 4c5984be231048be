package agent

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

// testWait bounds what a test waits for.
const testWait = 20 * time.Second

// testReaper reaps for all tests: a program can have but one.
var testReaper = sync.OnceValue(NewReaper)

// container is a container of a test, driven over a real session as by a
// supervisor.
type container struct {
	t       *testing.T
	agent   *Agent
	session *yamux.Session
	share   string
	ids     atomic.Int32
}

// defaultMounts are those that Docker asks for, but for what a test's
// namespaces cannot have.
var defaultMounts = []api.Mount{
	{Type: "proc", Destination: "/proc", Options: []string{"nosuid", "noexec", "nodev"}},
	{Type: "tmpfs", Destination: "/dev", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{Type: "devpts", Destination: "/dev/pts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{Type: "tmpfs", Destination: "/dev/shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=1m"}},
}

// newContainer makes a container whose image is the host's programs and
// little else. What prepare mounts in the share is seen by the container, whose
// mount namespace is a copy. Its root is made by build.
func newContainer(t *testing.T, prepare ...func(share string)) *container {
	t.Helper()
	requireNamespaces(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, share: filepath.Join(dir, "share")}
	makeImage(t, filepath.Join(c.share, api.RootDir))
	if err := os.MkdirAll(filepath.Join(c.share, api.VolumesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(c.share)
	}
	var err error
	c.agent, err = New(Config{Reaper: testReaper(), ShareDir: c.share, RootDir: filepath.Join(dir, "newroot")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.agent.Shutdown(testWait); err != nil {
			t.Error(err)
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	c.connect()
	return c
}

// startContainer returns a container with the default mounts whose first
// process runs.
func startContainer(t *testing.T) *container {
	t.Helper()
	c := newContainer(t)
	c.build(rootfs.Config{Mounts: defaultMounts})
	c.start(true, specs.Process{Args: []string{"sleep", "infinity"}}, nil)
	return c
}

func (c *container) build(config rootfs.Config) {
	c.t.Helper()
	if err := c.agent.BuildRoot(config); err != nil {
		c.t.Fatal(err)
	}
}

func makeImage(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"dev", "proc", "sys", "etc", "tmp", "root", "home/app"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n", 0o644)
	for _, name := range []string{"bin", "sbin", "lib", "lib64", "usr"} {
		host, inside := "/"+name, filepath.Join(root, name)
		if target, err := os.Readlink(host); err == nil {
			if err := os.Symlink(target, inside); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := os.Stat(host); err != nil {
			continue
		}
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(host, inside, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, body string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), mode); err != nil {
		t.Fatal(err)
	}
}

// connect makes a session to the agent.
func (c *container) connect() {
	c.t.Helper()
	ours, theirs := net.Pipe()
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	server, err := yamux.Server(theirs, config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.session, err = yamux.Client(ours, config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		c.session.Close()
		server.Close()
	})
	go func() {
		for {
			stream, err := server.AcceptStream()
			if err != nil {
				return
			}
			go c.dispatch(stream)
		}
	}()
}

func (c *container) dispatch(stream *yamux.Stream) {
	var open api.Open
	if err := api.Read(stream, &open); err != nil {
		return
	}
	if open.Kind == api.KindStdio {
		c.agent.ServeStdio(open, stream)
		return
	}
	c.agent.ServeProcess(stream)
}

func (c *container) open(open api.Open) *yamux.Stream {
	c.t.Helper()
	stream, err := c.session.OpenStream()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := api.Write(stream, open); err != nil {
		c.t.Fatal(err)
	}
	if err := stream.SetReadDeadline(time.Now().Add(testWait)); err != nil {
		c.t.Fatal(err)
	}
	return stream
}

// running is a process that a test has asked for.
type running struct {
	t              *testing.T
	control        *yamux.Stream
	stdin          *yamux.Stream
	output         *yamux.Stream // of descriptor 1
	stdout, stderr buffer
	copied         sync.WaitGroup
	failed         *api.Failed
}

// buffer is a bytes.Buffer that can be looked at while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(b.b.Len())
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts a process with all of its descriptors connected. With stdin nil,
// descriptor 0 stays open.
func (c *container) start(first bool, spec specs.Process, stdin []byte) *running {
	c.t.Helper()
	id := strconv.Itoa(int(c.ids.Add(1)))
	if spec.Cwd == "" {
		spec.Cwd = "/"
	}
	if spec.Env == nil {
		spec.Env = []string{"PATH=/usr/bin:/bin"}
	}
	if spec.Capabilities == nil {
		spec.Capabilities = &specs.LinuxCapabilities{}
	}
	fds := []int{0, 1, 2}
	if spec.Terminal {
		fds = fds[:2]
	}
	r := &running{t: c.t}
	for _, fd := range fds {
		stream := c.open(api.Open{Kind: api.KindStdio, Process: id, FD: fd})
		switch fd {
		case 0:
			r.stdin = stream
		case 1:
			r.output = stream
			r.copied.Go(func() { _, _ = io.Copy(&r.stdout, stream) })
		case 2:
			r.copied.Go(func() { _, _ = io.Copy(&r.stderr, stream) })
		}
	}
	r.control = c.open(api.Open{Kind: api.KindProcess})
	if err := api.Write(r.control, api.Process{ID: id, Init: first, Stdio: fds, Spec: spec}); err != nil {
		c.t.Fatal(err)
	}
	event := r.next()
	r.failed = event.Failed
	if r.failed == nil && event.Started == nil {
		c.t.Fatalf("the first event is %+v", event)
	}
	if stdin != nil {
		go func() {
			_, _ = r.stdin.Write(stdin)
			_ = r.stdin.Close()
		}()
	}
	return r
}

func (r *running) next() api.ProcessEvent {
	r.t.Helper()
	var event api.ProcessEvent
	if err := api.Read(r.control, &event); err != nil {
		r.t.Fatalf("read an event: %v", err)
	}
	return event
}

// wait returns how the process ended, when its output is there.
func (r *running) wait() api.Exited {
	r.t.Helper()
	if r.failed != nil {
		r.t.Fatalf("the process did not start: %+v", r.failed)
	}
	event := r.next()
	if event.Exited == nil {
		r.t.Fatalf("the last event is %+v", event)
	}
	sent := event.Exited.Output
	eventually(r.t, "the output that the process wrote", func() bool {
		return r.stdout.size() >= sent[1] && r.stderr.size() >= sent[2]
	})
	event.Exited.Output = [3]int64{}
	return *event.Exited
}

func (r *running) send(control api.ProcessControl) {
	r.t.Helper()
	if err := api.Write(r.control, control); err != nil {
		r.t.Fatal(err)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(testWait)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, testWait)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// run runs a process beside the first one to its end.
func (c *container) run(spec specs.Process, stdin []byte) (*running, api.Exited) {
	c.t.Helper()
	if stdin == nil {
		stdin = []byte{}
	}
	r := c.start(false, spec, stdin)
	return r, r.wait()
}

func shell(script string) specs.Process {
	return specs.Process{Args: []string{"/bin/sh", "-c", script}}
}
