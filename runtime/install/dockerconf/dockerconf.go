// Package dockerconf edits the text of Docker's daemon.json: it adds and
// removes one OCI runtime and keeps everything else, numbers as they are
// written.
package dockerconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

const runtimesKey = "runtimes"

// SyntaxError is about text that is not JSON, or not of daemon.json's form.
type SyntaxError struct {
	Line, Column int // from 1; columns count characters
	Message      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

type object = map[string]json.RawMessage

// Add returns the configuration with the runtime name at path. Other members
// of the runtime's entry stay. When the entry is there already, the result is
// config itself.
func Add(config []byte, name, path string) ([]byte, error) {
	top, runtimes, entry, err := parse(config, name)
	if err != nil {
		return nil, err
	}
	if current(entry) == path {
		return config, nil
	}
	if entry == nil {
		entry = object{}
	}
	if runtimes == nil {
		runtimes = object{}
	}
	if entry["path"], err = encode(path); err != nil {
		return nil, err
	}
	// An entry has either a path or the type of a containerd shim.
	delete(entry, "runtimeType")
	delete(entry, "options")
	if runtimes[name], err = encode(entry); err != nil {
		return nil, err
	}
	if top[runtimesKey], err = encode(runtimes); err != nil {
		return nil, err
	}
	return format(top)
}

// Remove returns the configuration without the runtime name, if its path is the
// given one; else it returns config itself. The member "runtimes" goes with the
// last runtime.
func Remove(config []byte, name, path string) ([]byte, error) {
	top, runtimes, entry, err := parse(config, name)
	if err != nil {
		return nil, err
	}
	if entry == nil || current(entry) != path {
		return config, nil
	}
	delete(runtimes, name)
	if len(runtimes) == 0 {
		delete(top, runtimesKey)
	} else if top[runtimesKey], err = encode(runtimes); err != nil {
		return nil, err
	}
	return format(top)
}

// IsEmpty reports whether the configuration sets nothing.
func IsEmpty(config []byte) bool {
	top, _, _, err := parse(config, "")
	return err == nil && len(top) == 0
}

// DefaultRuntime returns the runtime that containers get which name none;
// empty when the configuration does not say.
func DefaultRuntime(config []byte) string {
	top, _, _, err := parse(config, "")
	if err != nil {
		return ""
	}
	var name string
	_ = json.Unmarshal(top["default-runtime"], &name) // of another type, dockerd refuses it
	return name
}

// Path returns the path of the runtime name; empty when there is none.
func Path(config []byte, name string) string {
	_, _, entry, err := parse(config, name)
	if err != nil {
		return ""
	}
	return current(entry)
}

func current(entry object) string {
	var path string
	_ = json.Unmarshal(entry["path"], &path) // of another type, it is not ours
	return path
}

// parse takes the configuration apart down to the runtime's entry. What is
// absent is nil, except the configuration, whose text may be empty.
func parse(config []byte, name string) (top, runtimes, entry object, err error) {
	if len(bytes.TrimSpace(config)) == 0 {
		return object{}, nil, nil, nil
	}
	if err := checkSyntax(config); err != nil {
		return nil, nil, nil, err
	}
	if err := json.Unmarshal(config, &top); err != nil || top == nil {
		return nil, nil, nil, positioned(config, int64(bytes.IndexByte(config, firstByte(config))), "the configuration must be a JSON object")
	}
	if runtimes, err = member(config, top, runtimesKey); err != nil {
		return nil, nil, nil, err
	}
	entry, err = member(config, runtimes, name)
	return top, runtimes, entry, err
}

func firstByte(b []byte) byte { return bytes.TrimSpace(b)[0] }

func member(config []byte, of object, name string) (object, error) {
	raw, ok := of[name]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		at := bytes.Index(config, []byte(`"`+name+`"`))
		return nil, positioned(config, int64(max(at, 0)), fmt.Sprintf("%q must be a JSON object", name))
	}
	return o, nil
}

// checkSyntax accepts one JSON value and nothing after it.
func checkSyntax(config []byte) error {
	if !utf8.Valid(config) {
		at := 0
		for r, size := utf8.DecodeRune(config); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRune(config[at:]) {
			at += size
		}
		return positioned(config, int64(at), "the text is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(config))
	var value json.RawMessage
	err := d.Decode(&value)
	if err == nil {
		rest := bytes.TrimLeft(config[d.InputOffset():], " \t\r\n")
		if len(rest) == 0 {
			return nil
		}
		return positioned(config, int64(len(config)-len(rest)), "there is text after the JSON value")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// The offset is that after the offending byte.
		return positioned(config, syntax.Offset-1, syntax.Error())
	}
	return positioned(config, int64(len(config)), "the JSON value has no end")
}

func positioned(config []byte, offset int64, message string) error {
	before := config[:min(max(offset, 0), int64(len(config)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return &SyntaxError{Line: line, Column: column, Message: message}
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// format renders the whole, indented by four spaces as Docker's manual does.
func format(top object) ([]byte, error) {
	flat, err := encode(top)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, bytes.TrimSpace(flat), "", "    ")
	b.WriteByte('\n')
	return b.Bytes(), err
}
