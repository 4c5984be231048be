package view

import (
	"bytes"
	"fmt"
)

// Colours, as ANSI terminals have them.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	reset  = "\x1b[0m"
)

// sheet collects the text, so that it is written as a whole or not at all.
type sheet struct {
	view *human
	text bytes.Buffer
}

func (h *human) sheet() *sheet { return &sheet{view: h} }

func (s *sheet) flush() error {
	_, err := s.view.out.Write(s.text.Bytes())
	return err
}

// row is a name and what it has.
type row struct{ name, text string }

// rows shows those that have something.
func (s *sheet) rows(all ...row) {
	width := 0
	for _, r := range all {
		width = max(width, len(r.name))
	}
	for _, r := range all {
		if r.text != "" {
			s.line("%-*s  %s", width, r.name, r.text)
		}
	}
}

func (s *sheet) title(text string) {
	s.line("")
	s.line("%s", s.colour(bold, text+":"))
}

// line writes a line without blanks at its end.
func (s *sheet) line(format string, args ...any) {
	text := fmt.Appendf(nil, format, args...)
	s.text.Write(append(bytes.TrimRight(text, " "), '\n'))
}

func (s *sheet) strong(text string) string { return s.colour(bold, text) }
func (s *sheet) faint(text string) string  { return s.colour(dim, text) }

func (s *sheet) colour(code, text string) string {
	if !s.view.options.Colour {
		return text
	}
	return code + text + reset
}
