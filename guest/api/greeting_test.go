package api

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestGreeting finds the greeting behind what firmware says, and leaves what
// follows it.
func TestGreeting(t *testing.T) {
	var said bytes.Buffer
	if err := Greet(&said); err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]string{
		"nothing":       "",
		"a terminal":    "\x1b[2J\x1b[01;01HBdsDxe: loading",
		"its beginning": said.String()[:said.Len()-1],
		"a long text":   strings.Repeat("x\x00runcvm", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			r := strings.NewReader(before + said.String() + "next")
			if err := AwaitGreeting(iotest.HalfReader(r)); err != nil {
				t.Fatal(err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "next" {
				t.Errorf("behind the greeting: %q", rest)
			}
		})
	}
	if err := AwaitGreeting(strings.NewReader("login: ")); !errors.Is(err, io.EOF) {
		t.Errorf("a guest that closes: %v", err)
	}
	if err := AwaitGreeting(endless{}); !errors.Is(err, ErrNoGreeting) {
		t.Errorf("a guest that talks: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
