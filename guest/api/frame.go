package api

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxMessage is the largest message in bytes. The kernel bounds a program's
// arguments and environment at 6 MiB; JSON may need several bytes for one.
const MaxMessage = 64 << 20

// Write sends v as one message: its length in four bytes, network order, then
// JSON. It writes once, so that concurrent writers need only hold a lock.
func Write(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	if len(body) > MaxMessage {
		return fmt.Errorf("a %T of %d bytes exceeds the limit of %d", v, len(body), MaxMessage)
	}
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

// Read receives one message into v. At the end of the stream between two
// messages it returns io.EOF, within one io.ErrUnexpectedEOF.
func Read(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxMessage {
		return fmt.Errorf("a %T of %d bytes exceeds the limit of %d", v, n, MaxMessage)
	}
	// The buffer grows with what arrives: the peer's word for the length is not
	// enough to allocate by.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := json.Unmarshal(body.Bytes(), v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}
