// Package terminal says how to write for who reads: people get colours, pipes
// and files get none.
package terminal

import (
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/runcvm/runcvm/internal/diag"
)

// Style is how output is drawn. The zero value draws no colours.
type Style struct{ Color bool }

// StyleOf is the style for a file: colours on a terminal, unless NO_COLOR is
// set to anything (https://no-color.org) or the terminal is a dumb one.
func StyleOf(f *os.File) Style {
	return Style{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))}
}

// SGR sequences of ECMA-48.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s Style) draw(text, codes string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + codes + "m" + text + "\x1b[0m"
}

// Bold is for headings and names.
func (s Style) Bold(text string) string { return s.draw(text, bold) }

// Dim is for what may be overlooked.
func (s Style) Dim(text string) string { return s.draw(text, dim) }

// Green is for what is well, or comes to it.
func (s Style) Green(text string) string { return s.draw(text, green) }

// Red is for what is wrong, or goes.
func (s Style) Red(text string) string { return s.draw(text, red) }

// Yellow is for warnings.
func (s Style) Yellow(text string) string { return s.draw(text, yellow) }

// Diagnostics draws problems for a terminal, each with its source line; they
// end with a newline.
func (s Style) Diagnostics(ds diag.Diagnostics) string {
	parts := make([]string, len(ds))
	for i, d := range ds {
		title, rest, _ := strings.Cut(d.Text(), "\n")
		severity, summary, _ := strings.Cut(title, ": ")
		codes := bold + ";" + red
		if d.Severity == diag.Warning {
			codes = bold + ";" + yellow
		}
		parts[i] = s.draw(severity+":", codes) + " " + s.Bold(summary) + "\n" + rest
	}
	return strings.Join(parts, "\n")
}

// Diff draws a unified diff.
func (s Style) Diff(diff string) string {
	if !s.Color {
		return diff
	}
	lines := strings.SplitAfter(diff, "\n")
	for i, line := range lines {
		text, end := strings.TrimSuffix(line, "\n"), ""
		if text != line {
			end = "\n"
		}
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "diff "):
			text = s.Bold(text)
		case strings.HasPrefix(line, "+"):
			text = s.Green(text)
		case strings.HasPrefix(line, "-"):
			text = s.Red(text)
		case strings.HasPrefix(line, "@@"):
			text = s.Dim(text)
		}
		lines[i] = text + end
	}
	return strings.Join(lines, "")
}
