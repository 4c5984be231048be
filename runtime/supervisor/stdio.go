package supervisor

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/runcvm/runcvm/guest/api"
)

// copyBuffer is the size of the buffers between a descriptor and a stream, in
// bytes: what a pipe holds.
const copyBuffer = 64 << 10

// attach pumps files to and from p's streams. The channel that it returns is
// closed when all of p's output has been written.
func (p *process) attach(stdin io.Reader, stdout, stderr io.Writer) <-chan struct{} {
	if in := p.stdio[0]; in != nil {
		go func() {
			_, _ = io.CopyBuffer(onlyWriter{in}, stdin, make([]byte, copyBuffer))
			in.Close() // half-close: the process reads end of file
		}()
	}
	var outputs sync.WaitGroup
	for i, w := range []io.Writer{stdout, stderr} {
		if stream := p.stdio[1+i]; stream != nil {
			outputs.Go(func() {
				buf := make([]byte, copyBuffer)
				if _, err := io.CopyBuffer(onlyWriter{w}, onlyReader{stream}, buf); err != nil {
					// The reader of our output has gone. Closing our half tells
					// the guest, which closes the process's pipe.
					stream.Close()
					_, _ = io.CopyBuffer(io.Discard, onlyReader{stream}, buf)
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		outputs.Wait()
		close(done)
	}()
	return done
}

// onlyWriter and onlyReader hide WriterTo and ReaderFrom, so that CopyBuffer
// uses the buffer that it is given.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

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
