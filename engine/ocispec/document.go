// Package ocispec reads config.json and process.json as typed values of the OCI
// runtime specification, and writes an edited config.json back with every field
// that the types do not know, and with every number as it was.
package ocispec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/internal/diag"
)

// Document is a parsed config.json. Change Spec, then Marshal.
type Document struct {
	Spec specs.Spec
	raw  []byte
}

// Parse reads a config.json. The error names file, line and column.
func Parse(data []byte, file string) (*Document, error) {
	d := &Document{raw: data}
	if err := decode(data, file, &d.Spec); err != nil {
		return nil, err
	}
	return d, nil
}

// Marshal returns the document with the changes that were made to Spec.
func (d *Document) Marshal() ([]byte, error) {
	var original specs.Spec
	if err := json.Unmarshal(d.raw, &original); err != nil {
		return nil, fmt.Errorf("decode the original spec: %w", err)
	}
	return marshal(d.raw, &original, &d.Spec)
}

// ParseProcess reads a process.json, as runc exec --process takes it. The error
// names file, line and column.
func ParseProcess(data []byte, file string) (specs.Process, error) {
	var process specs.Process
	return process, decode(data, file, &process)
}

// decode reports mistakes as diagnostics.
func decode(data []byte, file string, into any) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	offset, detail := len(data), err.Error()
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		detail = "The file is empty."
	case errors.As(err, &syntax):
		// The decoder counts the bytes that it has read, the offending one included.
		offset = int(syntax.Offset) - 1
		if offset >= len(bytes.TrimRight(data, " \t\r\n")) || detail == "unexpected end of JSON input" {
			offset, detail = len(data), "The file ends within a value: it was cut short."
		} else {
			detail = "It is not valid JSON here: " + syntax.Error() + "."
		}
	case errors.As(err, &wrong):
		offset = int(wrong.Offset) - 1
		detail = fmt.Sprintf("%q is a JSON %s, where the OCI runtime specification wants a value of type %s.", wrong.Field, wrong.Value, wrong.Type)
	}
	place := diag.Locate(file, data, offset)
	return diag.Diagnostics{{
		Severity: diag.Error,
		Summary:  "Malformed OCI configuration",
		Detail:   detail + " The container engine writes this file; repair it, or create the container again.",
		Range:    &place,
		Snippet:  diag.Excerpt(data, place, ""),
	}}
}

// marshal writes raw with the differences between the typed values original and
// changed.
func marshal(raw []byte, original, changed any) ([]byte, error) {
	tree, err := parseTree(raw)
	if err != nil {
		return nil, err
	}
	before, err := treeOf(original)
	if err != nil {
		return nil, err
	}
	after, err := treeOf(changed)
	if err != nil {
		return nil, err
	}
	return encode(merge(tree, before, after))
}

// treeOf converts a typed value to maps, slices and scalars.
func treeOf(v any) (any, error) {
	data, err := encode(v)
	if err != nil {
		return nil, err
	}
	return parseTree(data)
}

// parseTree keeps numbers as they are written: a float64 would round a 64-bit
// limit.
func parseTree(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return tree, nil
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return out.Bytes(), nil
}
