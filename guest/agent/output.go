package agent

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// output copies what a process writes to one descriptor into its stream.
type output struct {
	from     *os.File // the pipe's other end, or the terminal's master
	to       Stream   // nil for a terminal that nobody sees
	terminal bool
	// other is the side that programs open of a console, which outlives each of
	// them; else nil.
	other *consoleSide

	// written is how many bytes are in the stream; it may be read once settled
	// is closed, which is when all that the ended process wrote is among them.
	written   int64
	isSettled bool
	settled   chan struct{}
}

// expectEnd is called when the process has ended, to interrupt the copying
// once what it wrote can have arrived, unless the end of the file will.
func (o *output) expectEnd(certain bool, drain time.Duration) {
	if !certain {
		_ = o.from.SetReadDeadline(time.Now().Add(drain))
	}
}

// copy copies until the end of the file, past the end of the process when
// others hold the descriptor too. A terminal ends with its process.
func (o *output) copy() {
	array := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(array)
	buffer := array[:]
	defer o.end()
	for {
		n, err := o.from.Read(buffer)
		if n > 0 {
			o.write(buffer[:n])
		}
		switch {
		case err == nil:
		case os.IsTimeout(err):
			_ = o.from.SetReadDeadline(time.Time{})
			o.copyRest(buffer)
			if o.terminal {
				return
			}
			o.settle()
		case o.other != nil && errors.Is(err, unix.EIO) && o.other.reopen():
			// A program, such as a getty, has hung the console up.
		default:
			return
		}
	}
}

// write writes to the stream. One that fails is dead with its session, and so
// is the reader: watchReader sees it.
func (o *output) write(b []byte) {
	if o.to == nil {
		return
	}
	n, _ := o.to.Write(b)
	if !o.isSettled {
		o.written += int64(n)
	}
}

func (o *output) settle() {
	if !o.isSettled {
		o.isSettled = true
		close(o.settled)
	}
}

// end closes a pipe and the stream. A terminal's master is closed by who closes
// its input.
func (o *output) end() {
	o.settle()
	o.other.close()
	if !o.terminal {
		_ = o.from.Close()
	}
	if o.to != nil {
		_ = o.to.Close()
	}
}

// watchReader closes the descriptor when the reader at the other end of the
// stream has gone: a process that writes on gets EPIPE, as without a VM.
func (o *output) watchReader() {
	_, _ = io.Copy(io.Discard, o.to)
	_ = o.from.Close()
}

// copyRest copies what can be read at once, and no more than there was when it
// began: another process may go on writing for ever.
func (o *output) copyRest(buffer []byte) {
	raw, err := o.from.SyscallConn()
	if err != nil {
		return
	}
	rest := -1
	for rest != 0 {
		var n int
		err := raw.Read(func(fd uintptr) bool {
			if rest < 0 {
				if rest, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ); rest <= 0 {
					rest = 0
					return true
				}
			}
			n, _ = unix.Read(int(fd), buffer[:min(rest, len(buffer))])
			return true
		})
		if err != nil || n <= 0 {
			return
		}
		rest -= n
		o.write(buffer[:n])
	}
}
