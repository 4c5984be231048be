package agent

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/api"
)

// Stream is a stream of the session. Close is a half-close: the peer reads to
// the end of what was written, and may go on writing.
type Stream interface {
	io.ReadWriteCloser
}

const (
	// streamWait is how long a process waits for its stdio streams, and a
	// stream for its process. They are opened together.
	streamWait = 30 * time.Second
	// terminalDrain is how long the terminal may take to hand over what an
	// ended process wrote: the kernel moves it in the background.
	terminalDrain = 100 * time.Millisecond
	copyBuffer    = 64 << 10  // bytes
	pipeBuffer    = 256 << 10 // bytes; beyond /proc/sys/fs/pipe-max-size root may go
)

// buffers are those that copying has used before: fresh memory is slow to get
// in a VM.
var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// streamKey names a stdio stream.
type streamKey struct {
	process string
	fd      int
}

// streams holds the stdio streams whose process has not taken them.
type streams struct {
	mu      sync.Mutex
	waiting map[streamKey]chan Stream
}

func (s *streams) slot(key streamKey) chan Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(map[streamKey]chan Stream)
	}
	c, ok := s.waiting[key]
	if !ok {
		c = make(chan Stream, 1)
		s.waiting[key] = c
	}
	return c
}

func (s *streams) forget(key streamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, key)
}

// put leaves a stream for its process. A stream that nobody takes is closed.
func (s *streams) put(key streamKey, stream Stream) {
	slot := s.slot(key)
	select {
	case slot <- stream:
	default: // a second one for the same descriptor
		_ = stream.Close()
		return
	}
	time.AfterFunc(streamWait, func() {
		select {
		case late := <-slot:
			s.forget(key)
			_ = late.Close()
		default:
		}
	})
}

// take waits for the streams of a process.
func (s *streams) take(process string, fds []int) (map[int]Stream, error) {
	taken := make(map[int]Stream, len(fds))
	deadline := time.NewTimer(streamWait)
	defer deadline.Stop()
	for _, fd := range fds {
		key := streamKey{process, fd}
		select {
		case stream := <-s.slot(key):
			taken[fd] = stream
			s.forget(key)
		case <-deadline.C:
			s.forget(key)
			closeAll(taken)
			return nil, fmt.Errorf("the stream for descriptor %d did not come", fd)
		}
	}
	return taken, nil
}

func closeAll(open map[int]Stream) {
	for _, stream := range open {
		_ = stream.Close()
	}
}

// stdio connects the descriptors of one process with its streams.
type stdio struct {
	streams map[int]Stream
	child   []*os.File       // the process's ends, in the order of fds
	fds     []int            // the process's descriptor numbers
	ours    map[int]*os.File // our ends
	spawn   func(func())
	ended   chan struct{} // closed when the process has ended
	outputs map[int]*output
	// terminal: descriptors 0 and 1 are its two directions.
	terminal bool
	console  bool   // the terminal is /dev/console of the VM's PID 1
	device   string // a terminal of the VM's, in the place of streams; empty for none
	log      bool   // and nobody sits at it
	drain    time.Duration
}

// openStdio makes a pipe for each stream. With a terminal, there are none: the
// stage allocates it. The VM's PID 1 always has one, its console.
func (a *Agent) openStdio(open map[int]Stream, request *api.Process) (*stdio, error) {
	s := &stdio{
		streams: open, ours: make(map[int]*os.File), spawn: a.spawn,
		ended: make(chan struct{}), console: request.Init && a.beside(),
	}
	if request.Console != "" {
		s.device = request.Console
		if s.console {
			return s, nil
		}
		return s, letGoOfConsole()
	}
	s.log = s.console && !request.Spec.Terminal
	if s.console && open[2] != nil {
		_ = open[2].Close() // both outputs are the console
		delete(open, 2)
	}
	if request.Spec.Terminal || s.console {
		s.terminal, s.drain = true, terminalDrain
		return s, nil
	}
	for fd := range 3 {
		if open[fd] == nil {
			continue
		}
		if err := s.openPipe(fd); err != nil {
			s.abandon()
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
	}
	return s, nil
}

func (s *stdio) openPipe(fd int) error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	ours, child := p[0], p[1]
	if fd == 0 {
		ours, child = child, ours
	}
	// Best effort: a smaller buffer is slower, not wrong.
	_, _ = unix.FcntlInt(uintptr(ours), unix.F_SETPIPE_SZ, pipeBuffer)
	s.ours[fd] = pollable(ours)
	s.child = append(s.child, os.NewFile(uintptr(child), "pipe"))
	s.fds = append(s.fds, fd)
	return nil
}

// pollable makes a file of a descriptor that Go's poller waits for, so that
// deadlines work on it.
func pollable(fd int) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "stdio")
}

// connectTerminal takes the terminal's master. Descriptor 0 and 1 are its two
// directions.
func (s *stdio) connectTerminal(master int) {
	f := pollable(master)
	s.ours[0], s.ours[1] = f, f
}

// closeChild closes the process's ends in this process.
func (s *stdio) closeChild() {
	for _, f := range s.child {
		_ = f.Close()
	}
	s.child = nil
}

// abandon ends the streams of a process that did not start.
func (s *stdio) abandon() {
	s.closeChild()
	for _, f := range s.ours {
		_ = f.Close()
	}
	closeAll(s.streams)
}

// run copies from now on.
func (s *stdio) run() {
	if in := s.streams[0]; in != nil && s.ours[0] != nil {
		s.spawn(func() { s.copyIn(in, s.ours[0], !s.terminal) })
	}
	s.outputs = make(map[int]*output)
	for _, fd := range []int{1, 2} {
		if s.ours[fd] == nil {
			continue
		}
		o := &output{from: s.ours[fd], to: s.streams[fd], terminal: s.terminal, settled: make(chan struct{})}
		if s.console {
			o.other = holdOpen(o.from, s.log)
		}
		s.outputs[fd] = o
		s.spawn(o.copy)
		if o.to != nil {
			s.spawn(o.watchReader)
		}
	}
}

// copyIn feeds the process. When the process no longer reads, nor do we, so
// that the sender is held back as by a full pipe; once it has ended, what is
// still sent goes nowhere.
func (s *stdio) copyIn(from Stream, to *os.File, closeAtEnd bool) {
	array := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(array)
	buffer := array[:]
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			if closeAtEnd {
				_ = to.Close()
			}
			return
		}
	}
	<-s.ended
	_, _ = io.CopyBuffer(io.Discard, from, buffer)
}

// finish is called when the process has ended. It returns when all that the
// process wrote is in the streams, with the number of bytes in each. Other
// processes that hold a pipe do not keep it: what they write is copied on for
// as long as someone reads it. When they have all ended, the end of the file
// is certain and comes first. A terminal ends with its process.
func (s *stdio) finish(allEnded bool) (written [3]int64) {
	close(s.ended)
	if s.device != "" {
		return written // the process's last close has waited for it
	}
	for _, o := range s.outputs {
		o.expectEnd(allEnded, s.drain)
	}
	for fd, o := range s.outputs {
		<-o.settled
		written[fd] = o.written
	}
	if s.terminal {
		_ = s.ours[1].Close()
	} else if in := s.ours[0]; in != nil {
		_ = in.Close()
	}
	if in := s.streams[0]; in != nil {
		_ = in.Close()
	}
	return written
}

// resize sets the terminal's size.
func (s *stdio) resize(rows, cols uint16) error {
	if s.device != "" {
		return resizeDevice(s.device, rows, cols)
	}
	master := s.ours[1]
	if master == nil {
		return unix.ENOTTY
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var ioctlErr error
	err = raw.Control(func(fd uintptr) {
		ioctlErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	if err != nil {
		return err
	}
	return ioctlErr
}
