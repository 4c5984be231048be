package convert

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/runcvm/runcvm/schema/document"
)

// writeJSON keeps the order of the names, which encoding/json's maps do not.
func writeJSON(n *node) []byte {
	var b bytes.Buffer
	n.json(&b, 0)
	b.WriteByte('\n')
	return b.Bytes()
}

func (n *node) json(b *bytes.Buffer, depth int) {
	indent := func(depth int) { b.WriteString("\n" + strings.Repeat("  ", depth)) }
	switch {
	case n.kind == document.Null:
		b.WriteString("null")
	case n.kind == document.String:
		b.WriteString(jsonString(n.text))
	case n.kind == document.List:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			item.json(b, depth+1)
		}
		b.WriteByte(']')
	case n.kind == document.Mapping && len(n.entries) == 0:
		b.WriteString("{}")
	case n.kind == document.Mapping:
		b.WriteByte('{')
		for i, e := range n.entries {
			if i > 0 {
				b.WriteByte(',')
			}
			indent(depth + 1)
			b.WriteString(jsonString(e.key) + ": ")
			e.value.json(b, depth+1)
		}
		indent(depth)
		b.WriteByte('}')
	default:
		b.WriteString(n.text)
	}
}

func jsonString(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string always has a form
	return strings.TrimSuffix(b.String(), "\n")
}
