package api

import (
	"encoding/binary"
	"io"
)

// yamuxHeader is the size in bytes of a yamux frame's header: version, type,
// flags (2), stream (4), length (4), in network order.
// https://github.com/hashicorp/yamux/blob/master/spec.md
const (
	yamuxHeader   = 12
	yamuxTypeData = 0
)

// JoinFrames joins what yamux writes to conn in two calls, a frame's header and
// its body: each write costs the guest an exit, and the host a wakeup.
func JoinFrames(conn io.ReadWriteCloser) io.ReadWriteCloser {
	return &frameWriter{ReadWriteCloser: conn}
}

type frameWriter struct {
	io.ReadWriteCloser
	frame []byte
}

// Write is called by one goroutine at a time, as yamux does.
func (w *frameWriter) Write(b []byte) (int, error) {
	if len(w.frame) == 0 && len(b) == yamuxHeader && b[1] == yamuxTypeData && binary.BigEndian.Uint32(b[8:]) > 0 {
		w.frame = append(w.frame, b...)
		return len(b), nil
	}
	if len(w.frame) == 0 {
		return w.ReadWriteCloser.Write(b)
	}
	w.frame = append(w.frame, b...)
	_, err := w.ReadWriteCloser.Write(w.frame)
	w.frame = w.frame[:0]
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
