package plan

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestEncodeIsCanonical(t *testing.T) {
	p := &Plan{
		Origins: map[string]Origin{"b": {Value: "<&>"}, "a": {}},
		Guest:   Guest{Sysctl: map[string]string{"z": "1", "y": "2"}},
	}
	first, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("encoding twice differs")
	}
	text := string(first)
	if !strings.Contains(text, "<&>") || strings.Index(text, `"y"`) > strings.Index(text, `"z"`) {
		t.Errorf("not canonical: %s", text)
	}
	back, err := Decode(first)
	if err != nil {
		t.Fatal(err)
	}
	if back.Digest != p.Digest || !strings.HasPrefix(back.Digest, "sha256:") {
		t.Errorf("digest %q, was %q", back.Digest, p.Digest)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := Encode(&Plan{Machine: Machine{CPUs: 1}})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		data string
		want error // nil for any
	}{
		"changed":       {strings.Replace(string(good), `"cpus":1`, `"cpus":2`, 1), ErrDigest},
		"other version": {strings.Replace(string(good), `"format_version":"1"`, `"format_version":"0"`, 1), ErrFormat},
		"no version":    {`{}`, ErrFormat},
		"unknown field": {strings.Replace(string(good), `{`, `{"x":1,`, 1), nil},
		"cut short":     {string(good[:len(good)/2]), nil},
		"followed":      {string(good) + "{}", nil},
		"empty":         {"", nil},
	}
	for name, test := range tests {
		_, err := Decode([]byte(test.data))
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", name, err, test.want)
		}
	}
}
