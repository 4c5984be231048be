// Package view shows plans and differences between them: to people and as JSON.
// What is shown is computed before: a view decides nothing.
package view

import (
	"io"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/plan/diff"
)

// Formats lists the names that New knows.
var Formats = []string{"text", "json"}

// View shows what a verb has found.
type View interface {
	// Plan shows one plan. notes are what had to be assumed to make it.
	Plan(p *plan.Plan, notes []string) error
	// Comparison shows how two plans differ.
	Comparison(c *Comparison) error
}

// Comparison is two plans and what differs.
type Comparison struct {
	Before, After Side
	// Changes are those of diff.Diff(Before.Plan, After.Plan).
	Changes []diff.Change
}

// Side is one of the two.
type Side struct {
	// Name says for people which plan this is: "the plan in saved.json".
	Name string
	Plan *plan.Plan
	// Notes are what had to be assumed to make it.
	Notes []string
}

// Options of a View.
type Options struct {
	// Colour is for terminals.
	Colour bool
	// Full has a comparison begin with the whole plan that it leads to. JSON has
	// the differences alone.
	Full bool
	// Commands has the command lines of QEMU and virtiofsd shown as well. JSON has
	// them always.
	Commands bool
}

// New returns the view of a format, nil for one that is not in Formats.
func New(format string, w io.Writer, o Options) View {
	switch format {
	case "text":
		return &human{out: w, options: o}
	case "json":
		return &machine{out: w}
	default:
		return nil
	}
}
