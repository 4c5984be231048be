// Package diag holds what the user is told when something is wrong: a short
// summary, a detail in full sentences that says what is wrong, why and how to
// mend it, and the place, drawn with its source line. A function that reports
// returns Diagnostics on every path and reports everything that it finds.
package diag

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity tells whether work can go on.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Pos is a place in a source file. Line and Column count from 1; a column is a
// grapheme cluster in HCL and a byte in JSON.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"` // offset from 0
}

// Range is a part of a source file; End is exclusive.
type Range struct {
	File  string `json:"file"`
	Start Pos    `json:"start"`
	End   Pos    `json:"end"`
}

// String gives file:line:column of the start, which editors understand, or the
// file alone where there are no lines: a variable's name.
func (r Range) String() string {
	if r.Start.Line == 0 {
		return r.File
	}
	return fmt.Sprintf("%s:%d:%d", r.File, r.Start.Line, r.Start.Column)
}

// Snippet is the source line of a Range.
type Snippet struct {
	// Context says what encloses it: in profile "web".
	Context string `json:"context,omitempty"`
	Code    string `json:"code"`
}

// Diagnostic is one problem.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	// Summary is a few words without names chosen by the user.
	Summary string `json:"summary"`
	// Detail is full sentences: what is wrong, why, and how to mend it.
	Detail  string   `json:"detail"`
	Range   *Range   `json:"range,omitempty"`
	Snippet *Snippet `json:"snippet,omitempty"`
}

// Error makes a Diagnostic an error of its own, in one line.
func (d *Diagnostic) Error() string { return d.OneLine() }

// OneLine renders the diagnostic for a log: place, summary, detail.
func (d *Diagnostic) OneLine() string {
	var b strings.Builder
	if d.Range != nil {
		b.WriteString(d.Range.String())
		b.WriteString(": ")
	}
	b.WriteString(d.Summary)
	if d.Detail != "" {
		b.WriteString(": ")
		b.WriteString(strings.Join(strings.Fields(d.Detail), " "))
	}
	return b.String()
}

// Text renders the diagnostic for a terminal, with its source line, and ends
// with a newline.
func (d *Diagnostic) Text() string {
	var b strings.Builder
	title := "Error"
	if d.Severity == Warning {
		title = "Warning"
	}
	fmt.Fprintf(&b, "%s: %s\n", title, d.Summary)
	if d.Range != nil {
		b.WriteString("\n  on " + d.Range.File)
		if d.Range.Start.Line > 0 {
			fmt.Fprintf(&b, " line %d", d.Range.Start.Line)
		}
		if d.Snippet != nil && d.Snippet.Context != "" {
			b.WriteString(", " + d.Snippet.Context)
		}
		b.WriteString(":\n")
		if d.Snippet != nil {
			fmt.Fprintf(&b, "  %3d: %s\n", d.Range.Start.Line, d.Snippet.Code)
		}
	}
	if d.Detail != "" {
		b.WriteString("\n" + d.Detail + "\n")
	}
	return b.String()
}

// Diagnostics is a list of problems in the order in which they were found. As
// an error it is the text of all of them.
type Diagnostics []*Diagnostic

// Errorf appends an error without a place.
func (ds *Diagnostics) Errorf(summary, format string, args ...any) {
	*ds = append(*ds, &Diagnostic{Severity: Error, Summary: summary, Detail: fmt.Sprintf(format, args...)})
}

// HasErrors reports whether any of them forbids to go on.
func (ds Diagnostics) HasErrors() bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Err returns ds as an error, or nil when it has no errors.
func (ds Diagnostics) Err() error {
	if !ds.HasErrors() {
		return nil
	}
	return ds
}

// Sort puts those of one file together, in the order of its lines; files keep
// the order in which they were met, and what has no place stands first.
func (ds Diagnostics) Sort() {
	order := map[string]int{}
	for _, d := range ds {
		if _, met := order[d.file()]; !met && d.Range != nil {
			order[d.file()] = len(order) + 1
		}
	}
	slices.SortStableFunc(ds, func(a, b *Diagnostic) int {
		return cmp.Or(cmp.Compare(order[a.file()], order[b.file()]), cmp.Compare(a.offset(), b.offset()))
	})
}

func (d *Diagnostic) file() string {
	if d.Range == nil {
		return ""
	}
	return d.Range.File
}

func (d *Diagnostic) offset() int {
	if d.Range == nil {
		return 0
	}
	return d.Range.Start.Byte
}

// Error renders all of them for a terminal.
func (ds Diagnostics) Error() string {
	parts := make([]string, len(ds))
	for i, d := range ds {
		parts[i] = d.Text()
	}
	return strings.Join(parts, "\n")
}

// OneLine renders an error as a single line for a log: docker run shows just
// one. Diagnostics are joined, errors before warnings.
func OneLine(err error) string {
	if err == nil {
		return ""
	}
	var ds Diagnostics
	if !errors.As(err, &ds) {
		return strings.Join(strings.Fields(err.Error()), " ")
	}
	var first, second []string
	for _, d := range ds {
		if d.Severity == Error {
			first = append(first, d.OneLine())
		} else {
			second = append(second, "warning: "+d.OneLine())
		}
	}
	return strings.Join(append(first, second...), "; ")
}
