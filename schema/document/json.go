package document

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/runcvm/runcvm/internal/diag"
)

// ParseJSON reads a document of RFC 8259. It returns nil when it is not one;
// after other mistakes there is what has none.
func ParseJSON(text []byte, name string) (*Node, diag.Diagnostics) {
	if diags := CheckText(text, name); diags != nil {
		return nil, diags
	}
	r := &jsonReader{reader: newReader(newSource(text, name))}
	r.at = r.source.begin
	if r.space(); r.at == len(text) {
		return nil, nil // an empty file has no profiles, in every notation
	}
	var whole json.RawMessage
	if err := json.Unmarshal(text[r.source.begin:], &whole); err != nil {
		r.syntax(err)
		return nil, r.diags
	}
	n := r.value(0)
	if r.stopped {
		return nil, r.diags
	}
	return n, r.diags
}

// jsonReader makes the tree of a text that encoding/json has found to be valid.
type jsonReader struct {
	reader
	at      int
	stopped bool // the rest is left out, since it is nested too deeply
}

func (r *jsonReader) space() {
	for r.at < len(r.source.text) && strings.IndexByte(" \t\r\n", r.source.text[r.at]) >= 0 {
		r.at++
	}
}

// next skips space and returns the byte behind it.
func (r *jsonReader) next() byte {
	r.space()
	return r.source.text[r.at]
}

func (r *jsonReader) value(depth int) *Node {
	first := r.next()
	from := r.at
	if depth > maxDepth {
		r.tooDeep(r.source.at(from))
		r.stopped = true
		return &Node{Range: r.source.at(from), source: r.source}
	}
	n := &Node{source: r.source}
	switch first {
	case '{':
		n.Kind = Mapping
		r.mapping(n, depth)
	case '[':
		n.Kind = List
		r.list(n, depth)
	case '"':
		n.Kind = String
		n.Text, n.offsets = r.text()
	default:
		r.word(n)
	}
	n.Range = r.source.between(from, r.at)
	return n
}

// word reads a number, true, false or null.
func (r *jsonReader) word(n *Node) {
	from := r.at
	for r.at < len(r.source.text) && strings.IndexByte(" \t\r\n,]}", r.source.text[r.at]) < 0 {
		r.at++
	}
	n.Text = string(r.source.text[from:r.at])
	switch n.Text {
	case "null":
		n.Kind = Null
	case "true", "false":
		n.Kind = Bool
	default:
		n.Kind = Number
	}
}

func (r *jsonReader) list(n *Node, depth int) {
	r.at++
	for r.next() != ']' {
		if r.source.text[r.at] == ',' {
			r.at++
		}
		n.Items = append(n.Items, r.value(depth+1))
		if r.stopped {
			return
		}
	}
	r.at++
}

func (r *jsonReader) mapping(n *Node, depth int) {
	var all entries
	r.at++
	for r.next() != '}' {
		if r.source.text[r.at] == ',' {
			r.at++
			r.space()
		}
		from := r.at
		key, _ := r.text()
		entry := Entry{Key: key, KeyRange: r.source.between(from, r.at)}
		r.next() // the colon
		r.at++
		entry.Value = r.value(depth + 1)
		if r.stopped {
			return
		}
		all.add(&r.reader, entry)
	}
	r.at++
	n.Entries = all.list
}

// text reads a string, and where each byte of its content is written.
func (r *jsonReader) text() (string, []int) {
	var c content
	src := r.source.text
	r.at++
	for src[r.at] != '"' {
		from := r.at
		if src[from] != '\\' {
			r.at++
			c.addByte(src[from], from)
			continue
		}
		r.at += 2
		if src[from+1] != 'u' {
			c.addByte(jsonEscapes[src[from+1]], from)
			continue
		}
		c.addRune(r.unicode(from), from)
	}
	c.end(r.at)
	r.at++
	return c.text(), c.offsets
}

var jsonEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unicode reads the digits of a \u escape that begins at from, and the second
// half of a surrogate pair.
func (r *jsonReader) unicode(from int) rune {
	c := r.hex()
	if !utf16.IsSurrogate(c) {
		return c
	}
	if src := r.source.text; src[r.at] == '\\' && src[r.at+1] == 'u' {
		back := r.at
		r.at += 2
		if whole := utf16.DecodeRune(c, r.hex()); whole != utf8.RuneError {
			return whole
		}
		r.at = back
	}
	r.report(r.source.between(from, r.at), "Invalid escape",
		"%s is one half of a surrogate pair, and the other half is missing: a character beyond U+FFFF is written as two escapes, such as \\ud83d\\ude00, or as itself.", r.source.text[from:r.at])
	return utf8.RuneError
}

func (r *jsonReader) hex() rune {
	n, err := strconv.ParseUint(string(r.source.text[r.at:r.at+4]), 16, 32)
	if err != nil {
		panic("document: JSON was found to be valid: " + err.Error())
	}
	r.at += 4
	return rune(n)
}

// syntax reports why encoding/json does not take the document.
func (r *jsonReader) syntax(err error) {
	var s *json.SyntaxError
	if !errors.As(err, &s) {
		r.report(r.source.at(r.source.begin), "Invalid JSON", "%s.", err)
		return
	}
	// The offset is behind the character in question, but for the end of the text.
	offset := r.source.begin + int(s.Offset)
	if strings.Contains(s.Error(), "unexpected end") {
		r.report(r.source.at(len(r.source.text)), "Invalid JSON", "The document ends too early: a closing bracket, brace or quote is missing.")
		return
	}
	if strings.Contains(s.Error(), "max depth") {
		r.tooDeep(r.source.at(offset - 1))
		return
	}
	offset--
	r.report(r.source.at(offset), "Invalid JSON", "%s", r.syntaxDetail(offset, s.Error()))
}

// syntaxDetail explains the mistakes that people make, of which encoding/json
// says what it wanted instead.
func (r *jsonReader) syntaxDetail(offset int, message string) string {
	before := strings.TrimRight(string(r.source.text[:offset]), " \t\r\n")
	c := r.source.text[offset]
	switch {
	case strings.Contains(message, "in string literal"):
		return "A string stays on one line and has no control characters: write \\n for a line break and \\t for a tab. Is the closing quote missing?"
	case strings.Contains(message, "escape"):
		return "This is no escape of JSON. A backslash is written as \\\\."
	case (c == '}' || c == ']') && strings.HasSuffix(before, ","):
		return "JSON has no comma behind the last element: remove it."
	case c == '/' || c == '#':
		return "JSON has no comments. YAML and HCL have them."
	case c == '\'':
		return `JSON has text in double quotes only: "...".`
	case strings.Contains(message, "after top-level value"):
		return "The document has ended before this: it is one object, { ... }."
	case c == '=':
		return `JSON has a colon between a name and its value: "cpus": 2.`
	case strings.Contains(message, "object key:value"):
		return "A comma or a closing brace is missing before this."
	case strings.Contains(message, "after array element"):
		return "A comma or a closing bracket is missing before this."
	case strings.Contains(message, "after object key"):
		return "A colon is missing between the name and this value."
	case strings.Contains(message, "looking for beginning of object key string"):
		return `A name is text in double quotes: "cpus": 2.`
	case strings.Contains(message, "looking for beginning of value"):
		return "A value is a number, true, false, null, text in double quotes, a list in [ ], or an object in { }."
	default:
		return "JSON does not allow this here: " + message + "."
	}
}
