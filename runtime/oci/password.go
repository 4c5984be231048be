package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxPassword is how many bytes of a password VNC's authentication uses (RFC
// 6143, 7.2.2). A longer one would be cut off in silence.
const maxPassword = 8

// readPassword reads the VNC server's password from a file of the host. A line
// break at its end is not part of it.
func readPassword(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe must not hold this up
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the file of the VNC password, %s (display.password_file), does not exist; write the password into it: install -m 600 /dev/stdin %s", name, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the VNC password (display.password_file): %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the VNC password (display.password_file): %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the file of the VNC password, %s (display.password_file), is not a regular file", name)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the file of the VNC password, %s (display.password_file), may be read or written by others than its owner (mode %04o); forbid it: chmod 600 %s", name, info.Mode().Perm(), name)
	}
	data, err := io.ReadAll(io.LimitReader(f, 2*maxPassword))
	if err != nil {
		return nil, fmt.Errorf("read the VNC password (display.password_file): %w", err)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("the file of the VNC password, %s (display.password_file), is empty; write a password into it, or leave display.password_file out for a server without one", name)
	case len(data) > maxPassword:
		return nil, fmt.Errorf("the VNC password in %s (display.password_file) has more than %d bytes, which are all that VNC uses; shorten it", name, maxPassword)
	}
	return data, nil
}
