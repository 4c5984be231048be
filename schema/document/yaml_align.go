package document

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// align finds where each byte of a scalar's content is written, and where the
// scalar ends. The library has decoded the content; this reads it once more and
// returns no offsets when it comes to another result.
func (r *yamlReader) align(n *yaml.Node, from int) ([]int, int) {
	a := aligner{src: r.source.text, at: from, want: n.Value}
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		a.quoted('"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		a.quoted('\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		a.block(n.Style&yaml.FoldedStyle != 0)
	default:
		a.plain()
	}
	a.at = min(a.at, len(a.src))
	if a.text() != n.Value || len(a.offsets) != len(n.Value)+1 {
		return nil, a.at
	}
	return a.offsets, a.at
}

type aligner struct {
	content
	src  []byte
	at   int
	want string
}

// fold reads a run of blanks with line breaks, which stands for a space, or for
// the breaks behind the first one. A run without breaks is itself.
func (a *aligner) fold() {
	from, breaks := a.at, 0
	for a.at < len(a.src) {
		c, size := utf8.DecodeRune(a.src[a.at:])
		if isBreak(c) {
			if c == '\r' && a.at+1 < len(a.src) && a.src[a.at+1] == '\n' {
				size = 2
			}
			breaks++
		} else if c != ' ' && c != '\t' {
			break
		}
		a.at += size
	}
	switch breaks {
	case 0:
		for i := from; i < a.at; i++ {
			a.addByte(a.src[i], i)
		}
	case 1:
		a.addByte(' ', from)
	default:
		for range breaks - 1 {
			a.addByte('\n', from)
		}
	}
}

func (a *aligner) blank() bool {
	c, _ := utf8.DecodeRune(a.src[a.at:])
	return c == ' ' || c == '\t' || isBreak(c)
}

func (a *aligner) plain() {
	for a.at < len(a.src) && len(a.decoded) < len(a.want) {
		if a.blank() {
			a.fold()
			continue
		}
		a.addByte(a.src[a.at], a.at)
		a.at++
	}
	a.end(a.at)
}

func (a *aligner) quoted(quote byte) {
	a.at++
	for a.at < len(a.src) {
		c := a.src[a.at]
		switch {
		case c == quote && quote == '\'' && a.at+1 < len(a.src) && a.src[a.at+1] == quote:
			a.addByte(quote, a.at)
			a.at += 2
		case c == quote:
			a.end(a.at)
			a.at++
			return
		case c == '\\' && quote == '"':
			a.escape()
		case a.blank():
			a.fold()
		default:
			a.addByte(c, a.at)
			a.at++
		}
	}
	a.end(a.at)
}

// yamlEscapes are those of https://yaml.org/spec/1.2.2/#57-escaped-characters
// that stand for one character.
var yamlEscapes = map[byte]rune{
	'0': 0, 'a': '\a', 'b': '\b', 't': '\t', '\t': '\t', 'n': '\n', 'v': '\v', 'f': '\f', 'r': '\r', 'e': 0x1b, ' ': ' ',
	'"': '"', '/': '/', '\\': '\\', 'N': 0x85, '_': 0xa0, 'L': 0x2028, 'P': 0x2029,
}

func (a *aligner) escape() {
	from := a.at
	if a.at++; a.at >= len(a.src) {
		return
	}
	letter := a.src[a.at]
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[letter]; digits > 0 {
		end := min(a.at+1+digits, len(a.src))
		if code, err := strconv.ParseUint(string(a.src[a.at+1:end]), 16, 32); err == nil {
			a.addRune(rune(code), from)
		}
		a.at = end
		return
	}
	if c, ok := yamlEscapes[letter]; ok {
		a.addRune(c, from)
		a.at++
		return
	}
	// A line break, which it hides together with the indentation that follows.
	for a.at < len(a.src) && strings.IndexByte(" \t\r\n", a.src[a.at]) >= 0 {
		a.at++
	}
}

// block reads a literal or a folded scalar. Its indentation is what stands in
// front of the content.
func (a *aligner) block(folded bool) {
	a.line() // the header
	last := a.at
	for _, want := range strings.SplitAfter(a.want, "\n") {
		text := strings.TrimSuffix(want, "\n")
		if want == "" {
			break
		}
		if folded && !a.foldedLine(text, &last) {
			return
		}
		if !folded && !a.literalLine(text, &last) {
			return
		}
		if len(want) > len(text) {
			a.addByte('\n', last)
		}
	}
	a.end(last)
	a.at = last
}

// line moves behind the next line break, and returns where the line begins and
// ends without it.
func (a *aligner) line() (begin, end int) {
	begin = a.at
	if i := bytes.IndexByte(a.src[a.at:], '\n'); i >= 0 {
		end = a.at + i
		a.at = end + 1
	} else {
		end = len(a.src)
		a.at = end
	}
	if end > begin && a.src[end-1] == '\r' {
		end--
	}
	return begin, end
}

func (a *aligner) literalLine(text string, last *int) bool {
	begin, end := a.line()
	if !strings.HasSuffix(string(a.src[begin:end]), text) {
		return false
	}
	for i := range len(text) {
		a.addByte(text[i], end-len(text)+i)
	}
	*last = end
	return true
}

// foldedLine reads a line of the content, which is written in one or more lines
// of the source.
func (a *aligner) foldedLine(text string, last *int) bool {
	for {
		begin, end := a.line()
		for begin < end && a.src[begin] == ' ' {
			begin++
		}
		part := string(a.src[begin:end])
		if part == "" && text != "" {
			if a.at >= len(a.src) {
				return false
			}
			continue // breaks that the fold takes away
		}
		if !strings.HasPrefix(text, part) {
			return false
		}
		for i := range len(part) {
			a.addByte(part[i], begin+i)
		}
		*last = end
		if text = text[len(part):]; text == "" {
			return true
		}
		if text[0] != ' ' {
			return false
		}
		a.addByte(' ', end)
		text = text[1:]
	}
}
