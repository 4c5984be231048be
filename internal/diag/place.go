package diag

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// maxCode bounds a source line in a snippet, in bytes: a minified JSON
// document is one line.
const maxCode = 120

// Locate gives the place of a byte offset in src. The column counts bytes. An
// offset beyond the end is the end.
func Locate(file string, src []byte, offset int) Range {
	offset = max(0, min(offset, len(src)))
	before := src[:offset]
	pos := Pos{
		Line:   1 + bytes.Count(before, []byte{'\n'}),
		Column: offset - bytes.LastIndexByte(before, '\n'),
		Byte:   offset,
	}
	return Range{File: file, Start: pos, End: pos}
}

// Excerpt cuts the line at r out of src; a long line is shortened around the
// place. It returns nil when src does not have the line.
func Excerpt(src []byte, r Range, context string) *Snippet {
	if r.Start.Byte > len(src) || r.Start.Line == 0 {
		return nil
	}
	begin := 1 + bytes.LastIndexByte(src[:r.Start.Byte], '\n')
	end := len(src)
	if i := bytes.IndexByte(src[r.Start.Byte:], '\n'); i >= 0 {
		end = r.Start.Byte + i
	}
	prefix, suffix := "", ""
	if end-begin > maxCode {
		if b := max(begin, r.Start.Byte-maxCode/2); b > begin {
			begin, prefix = b, "..."
		}
		if e := min(end, begin+maxCode); e < end {
			end, suffix = e, "..."
		}
	}
	return &Snippet{Context: context, Code: prefix + printable(src[begin:end]) + suffix}
}

// printable drops what would disturb a terminal or a log line.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r == utf8.RuneError || r == '\ufeff' {
			return -1
		}
		return r
	}, string(b))
}
