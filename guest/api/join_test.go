package api

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestJoinFrames(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	data := []byte{0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5}
	empty := []byte{0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0}
	window := []byte{0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5}
	w := JoinFrames(ours)
	for _, part := range [][]byte{data, []byte("12345"), window, empty, data, []byte("abcde")} {
		if n, err := w.Write(part); err != nil || n != len(part) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	for _, want := range []string{string(data) + "12345", string(window), string(empty), string(data) + "abcde"} {
		got := make([]byte, 100)
		n, err := theirs.Read(got)
		if err != nil || string(got[:n]) != want {
			t.Errorf("%q, %v, want %q", got[:n], err, want)
		}
	}
}
