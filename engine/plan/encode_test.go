package plan

import (
	"bytes"
	"encoding/json"
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
		"unknown field": {otherVersion(t, good, func(p map[string]any) { p["x"] = 1 }), nil},
		"added field":   {strings.Replace(string(good), `{`, `{"x":1,`, 1), nil},
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

// otherVersion is a plan as a version of this program writes it that has other
// fields: change makes them what they are there. Its digest is right.
func otherVersion(t *testing.T, data []byte, change func(map[string]any)) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	change(fields)
	delete(fields, "format_version")
	delete(fields, "digest")
	rest, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	text := func(digest string) string {
		return `{"format_version":"1","digest":"` + digest + `",` + string(rest[1:]) + "\n"
	}
	return text(digestOfCanonical([]byte(text(""))))
}

func TestDecodeOfAnotherVersion(t *testing.T) {
	ours, err := Encode(&Plan{Machine: Machine{CPUs: 3}, Agent: Agent{BootTimeoutSeconds: 7}})
	if err != nil {
		t.Fatal(err)
	}
	other := otherVersion(t, ours, func(p map[string]any) {
		p["later"] = map[string]any{"digest": "x"}
		delete(p, "cgroupfs")
		delete(p["machine"].(map[string]any), "overhead_mib")
		p["agent"].(map[string]any)["was_there"] = true
	})
	p, err := DecodeRunning([]byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if p.Machine.CPUs != 3 || p.Agent.BootTimeoutSeconds != 7 || p.Cgroupfs.Mode != "" {
		t.Errorf("read as %+v, %+v", p.Machine, p.Agent)
	}
	if _, err := DecodeRunning([]byte(strings.Replace(other, `"cpus":3`, `"cpus":4`, 1))); !errors.Is(err, ErrDigest) {
		t.Errorf("one that was changed: %v", err)
	}
	older := otherVersion(t, ours, func(p map[string]any) { delete(p, "cgroupfs") })
	if _, err := Decode([]byte(older)); err != nil {
		t.Errorf("to be compared, one without a field that came later: %v", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, ours, "", "  "); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(indented.Bytes()); err != nil {
		t.Errorf("one that was laid out: %v", err)
	}
}
