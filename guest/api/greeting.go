package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// greeting is what runcvm-guest says before all else. Firmware may open the port
// before it, as EFI's driver of virtio-serial ports does: it writes to the port
// as to a terminal, and swallows what it reads there.
var greeting = []byte("\x00runcvm-guest\n")

// maxBeforeGreeting bounds what firmware may say, in bytes.
const maxBeforeGreeting = 1 << 20

// ErrNoGreeting says that the guest is not runcvm-guest.
var ErrNoGreeting = errors.New("the guest does not greet")

// Greet is the guest's beginning of the stream.
func Greet(w io.Writer) error {
	_, err := w.Write(greeting)
	return err
}

// AwaitGreeting reads what firmware says, and the greeting, and nothing that
// comes behind it. Before it has returned, nothing is to be sent.
func AwaitGreeting(r io.Reader) error {
	var last []byte
	one := make([]byte, 1)
	for range maxBeforeGreeting {
		if _, err := io.ReadFull(r, one); err != nil {
			return err
		}
		if last = append(last, one[0]); len(last) > len(greeting) {
			last = last[1:]
		}
		if bytes.Equal(last, greeting) {
			return nil
		}
	}
	return fmt.Errorf("%w: its first %d bytes are something else", ErrNoGreeting, maxBeforeGreeting)
}
