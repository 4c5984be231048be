package supervisor

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/runcvm/runcvm/guest/api"
)

// copyBuffer is the size of the buffers between a descriptor and a stream, in
// bytes: what a pipe holds.
const copyBuffer = 64 << 10

// outputAlone are the descriptors with a stream of a process whose input is
// /dev/null: the guest gives it its own.
var outputAlone = []int{1, 2}

// HasNoInput says that f is /dev/null, which an engine gives a process in the
// place of an input.
func HasNoInput(f *os.File) bool {
	var s unix.Stat_t
	return unix.Fstat(int(f.Fd()), &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFCHR && s.Rdev == unix.Mkdev(1, 3)
}

// attach pumps files to and from p's streams.
func (p *process) attach(stdin io.Reader, stdout, stderr io.Writer) *outputs {
	if in := p.stdio[0]; in != nil {
		go func() {
			_, _ = io.CopyBuffer(onlyWriter{in}, stdin, make([]byte, copyBuffer))
			in.Close() // half-close: the process reads end of file
		}()
	}
	o := &outputs{}
	o.changed.L = &o.mu
	for i, w := range []io.Writer{stdout, stderr} {
		if stream := p.stdio[1+i]; stream != nil {
			o.open++
			go o.copy(w, stream, 1+i)
		}
	}
	return o
}

// outputs copies a process's output.
type outputs struct {
	mu      sync.Mutex
	changed sync.Cond
	copied  [3]int64 // bytes by descriptor
	open    int      // descriptors that have not ended
}

// copy copies a stream until its end.
func (o *outputs) copy(to io.Writer, stream *yamux.Stream, fd int) {
	buffer := make([]byte, copyBuffer)
	for {
		n, err := stream.Read(buffer)
		if n > 0 && to != nil {
			if _, werr := to.Write(buffer[:n]); readerGone(werr) {
				// Our half's end tells the guest, which closes the process's pipe.
				stream.Close()
				to = nil
			}
		}
		o.mu.Lock()
		o.copied[fd] += int64(n)
		if err != nil {
			o.open--
		}
		o.changed.Broadcast()
		o.mu.Unlock()
		if err != nil {
			stream.Close()
			return
		}
	}
}

// readerGone says that nobody will read any more. What another error loses,
// such as a full disk's, the process cannot be told; it may end by itself.
func readerGone(err error) bool {
	return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EIO) || errors.Is(err, os.ErrClosed)
}

// await waits until as many bytes of each descriptor have been copied, or all
// have ended.
func (o *outputs) await(bytes [3]int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.open > 0 && (o.copied[1] < bytes[1] || o.copied[2] < bytes[2]) {
		o.changed.Wait()
	}
}

// ended returns a channel that is closed when every descriptor has ended.
func (o *outputs) ended() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.awaitEnd()
	}()
	return done
}

// awaitEnd waits until every descriptor has ended.
func (o *outputs) awaitEnd() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.open > 0 {
		o.changed.Wait()
	}
}

// onlyWriter hides ReaderFrom, so that CopyBuffer uses the buffer that it is
// given.
type onlyWriter struct{ io.Writer }

// windowSize reads the size of the terminal f; nil when it has none.
func windowSize(f *os.File) *api.Window {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Row == 0 || ws.Col == 0 {
		return nil
	}
	return &api.Window{Rows: ws.Row, Cols: ws.Col}
}

// plainNewlines says that whoever made the terminal f wants LF as it is: runc
// does, when its own terminal makes CR LF of it.
func plainNewlines(f *os.File) bool {
	modes, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil && modes.Oflag&unix.ONLCR == 0
}

// rawTerminal hands f's line discipline to the guest's own terminal: this one
// only carries bytes. The returned function restores it.
func rawTerminal(f *os.File) (restore func(), err error) {
	old, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(int(f.Fd()), old) }, nil
}
