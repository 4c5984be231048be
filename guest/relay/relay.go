// Package relay carries a unix socket's connection over a stream between the
// guest and the supervisor, and is the same at both ends.
//
// Each direction of the stream is a row of frames: a length in four bytes,
// network order, then that many bytes. What a socket of packets sends is one
// frame each. A frame without bytes says that nothing more comes in that
// direction (shutdown(2) with SHUT_WR), and the end of a direction of the stream
// that its connection is gone. The windows of the stream are the backpressure.
package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

const (
	// lengthSize is the size in bytes of a frame's length.
	lengthSize = 4
	// MaxPacket is the most bytes of a frame, and so of a packet or datagram. A
	// socket's send buffer bounds these: net.core.wmem_max is 208 KiB by default.
	MaxPacket = 256 << 10
	// chunk is the most bytes of a frame that is no packet.
	chunk = 64 << 10
)

// errLength is a peer's mistake.
var errLength = errors.New("a frame is longer than any can be")

// Send carries what comes from conn, whose packets stay whole when packets is
// set, until conn's other end is closed, or conn is. Then it ends its direction of
// the stream.
func Send(stream io.WriteCloser, conn *net.UnixConn, packets bool) {
	defer stream.Close()
	size := chunk
	if packets {
		size = MaxPacket
	}
	frame := make([]byte, lengthSize+size)
	for {
		n, err := conn.Read(frame[lengthSize:])
		if n > 0 {
			binary.BigEndian.PutUint32(frame, uint32(n))
			if _, err := stream.Write(frame[:lengthSize+n]); err != nil {
				return
			}
			continue
		}
		if !errors.Is(err, io.EOF) {
			return
		}
		if _, err := stream.Write(make([]byte, lengthSize)); err != nil {
			return
		}
		awaitHangup(conn)
		return
	}
}

// awaitHangup waits until the other end of conn, which writes nothing any more,
// reads nothing either, or conn is closed.
func awaitHangup(conn *net.UnixConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	// The runtime's poller asks again when the socket's state has changed.
	_ = raw.Read(func(fd uintptr) bool {
		// Of no events, POLLHUP and POLLERR are told all the same.
		polled := []unix.PollFd{{Fd: int32(fd)}}
		for {
			n, err := unix.Poll(polled, 0)
			if err != unix.EINTR {
				return n != 0
			}
		}
	})
}

// Receive carries what comes by the stream to conn until the stream's direction
// ends, then closes conn. When conn takes nothing any more, it ends the other
// direction, which makes the peer end this one.
func Receive(conn *net.UnixConn, stream io.ReadWriteCloser) {
	defer conn.Close()
	var frame frame
	gone := false
	for {
		data, err := frame.read(stream)
		switch {
		case err != nil:
			return
		case gone:
		case len(data) == 0:
			// It fails when conn is gone, which the next write or Send finds out.
			_ = conn.CloseWrite()
		default:
			if _, err := conn.Write(data); err != nil {
				gone = true
				_ = stream.Close()
			}
		}
	}
}

// frame is the buffer of one direction.
type frame struct{ buffer []byte }

// read returns the next frame's bytes, valid until the next call.
func (f *frame) read(stream io.Reader) ([]byte, error) {
	var head [lengthSize]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxPacket {
		return nil, errLength
	}
	if int(n) > len(f.buffer) {
		f.buffer = make([]byte, max(int(n), chunk))
	}
	_, err := io.ReadFull(stream, f.buffer[:n])
	return f.buffer[:n], err
}
