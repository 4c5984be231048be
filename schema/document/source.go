package document

import (
	"bytes"
	"fmt"
	"sort"
	"unicode/utf8"

	"github.com/apparentlymart/go-textseg/v15/textseg"
	"github.com/hashicorp/hcl/v2"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// MaxSize bounds a document, in bytes. A profile has about one kilobyte.
const MaxSize = 1 << 20

// byteOrderMark may stand before UTF-8 text.
var byteOrderMark = []byte("\ufeff")

// source is a document's text with an index of its lines.
type source struct {
	name   string
	text   []byte
	begin  int   // behind the byte order mark
	starts []int // of lines
	// columns are those of each byte, nil when all of the text is ASCII.
	columns []int32
}

func newSource(text []byte, name string) *source {
	s := &source{name: name, text: text}
	if bytes.HasPrefix(text, byteOrderMark) {
		s.begin = len(byteOrderMark)
	}
	s.starts = []int{s.begin}
	for i, b := range text {
		if b == '\n' {
			s.starts = append(s.starts, i+1)
		}
	}
	if bytes.ContainsFunc(text[s.begin:], func(r rune) bool { return r >= utf8.RuneSelf }) {
		s.countColumns()
	}
	return s
}

// countColumns numbers the grapheme clusters of each line.
func (s *source) countColumns() {
	s.columns = make([]int32, 0, len(s.text)+1)
	for range s.begin {
		s.columns = append(s.columns, 1)
	}
	column := int32(1)
	for rest := s.text[s.begin:]; len(rest) > 0; {
		size, _, err := textseg.ScanGraphemeClusters(rest, true)
		if err != nil || size <= 0 {
			size = 1 // it has no errors of its own
		}
		for range size {
			s.columns = append(s.columns, column)
		}
		column++
		if rest[size-1] == '\n' {
			column = 1
		}
		rest = rest[size:]
	}
	s.columns = append(s.columns, column)
}

// pos gives the place of an offset. As in HCL, a line ends with a line feed, and
// a column is a grapheme cluster.
func (s *source) pos(offset int) hcl.Pos {
	offset = max(s.begin, min(offset, len(s.text)))
	line := sort.SearchInts(s.starts, offset+1)
	column := 1 + offset - s.starts[line-1]
	if s.columns != nil {
		column = int(s.columns[offset])
	}
	return hcl.Pos{Line: line, Column: column, Byte: offset}
}

func (s *source) between(from, to int) hcl.Range {
	return hcl.Range{Filename: s.name, Start: s.pos(from), End: s.pos(max(from, to))}
}

// at is the one character at an offset.
func (s *source) at(offset int) hcl.Range {
	offset = max(s.begin, min(offset, len(s.text)))
	_, size := utf8.DecodeRune(s.text[offset:])
	return s.between(offset, offset+size)
}

// CheckText reports a text that none of the notations can be: one that is too
// large, or not in UTF-8.
func CheckText(text []byte, name string) diag.Diagnostics {
	if len(text) > MaxSize {
		place := diag.Range{File: name}
		return diag.Diagnostics{{
			Severity: diag.Error, Summary: "Document too large", Range: &place,
			Detail: fmt.Sprintf("%s has %d bytes; a document of profiles has at most %d. Spread the profiles over several files.", name, len(text), MaxSize),
		}}
	}
	if utf8.Valid(text) {
		return nil
	}
	const summary = "Invalid character encoding"
	var detail string
	bad := 0
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}), bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		detail = "The document is in UTF-16, as its first two bytes say. Save it in UTF-8."
	default:
		for bad < len(text) {
			r, size := utf8.DecodeRune(text[bad:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			bad += size
		}
		detail = fmt.Sprintf("The byte 0x%02x is not UTF-8 text here. Save the document in UTF-8.", text[bad])
	}
	s := newSource(text, name)
	return diag.Diagnostics{hcldiag.At(text, s.at(bad), "", summary, detail)}
}
