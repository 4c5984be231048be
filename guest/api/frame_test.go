package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestFrameRoundTrip(t *testing.T) {
	want := Process{ID: "1", Stdio: []int{0, 1}, Spec: specs.Process{
		Args: []string{"a b", "c\nd", `"`, "ü", "<&>"}, Env: []string{"X=1\n2"}, Cwd: "/",
	}}
	var buf bytes.Buffer
	for range 2 {
		if err := Write(&buf, want); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var got Process
		if err := Read(&buf, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := Read(&buf, &want); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
}

func TestFrameErrors(t *testing.T) {
	frame := func(n uint32, body string) string {
		return string(binary.BigEndian.AppendUint32(nil, n)) + body
	}
	for name, tt := range map[string]struct {
		in   string
		want string
	}{
		"cut in the length":  {"\x00\x00", "unexpected EOF"},
		"cut in the body":    {frame(10, "{}"), "unexpected EOF"},
		"no body":            {frame(10, ""), "unexpected EOF"},
		"too long":           {frame(MaxMessage+1, "{}"), "exceeds the limit"},
		"not JSON":           {frame(2, "ab"), "decode *api.Open"},
		"a lie about length": {frame(MaxMessage, "{}"), "unexpected EOF"},
	} {
		var open Open
		err := Read(strings.NewReader(tt.in), &open)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var p Process
		for r := bytes.NewReader(data); Read(r, &p) == nil; {
		}
	})
}
