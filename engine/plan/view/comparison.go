package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan/diff"
)

// Comparison shows what was changed, each with what follows from it alone, then
// what follows from several of these.
func (h *human) Comparison(c *Comparison) error {
	s := h.sheet()
	var primary, derived, silent []diff.Change
	for _, change := range c.Changes {
		switch {
		case change.Class == diff.None:
			silent = append(silent, change)
		case change.Kind == diff.Derived:
			derived = append(derived, change)
		default:
			primary = append(primary, change)
		}
	}
	if h.options.Full {
		if err := s.plan(c.After.Plan); err != nil {
			return err
		}
		s.line("")
	}
	s.line("From %s", diff.Text(c.Before.Name))
	s.line("to   %s", diff.Text(c.After.Name))
	s.line("")
	if len(primary)+len(derived) == 0 {
		s.line("%s %s", s.colour(green, "No changes."), "The machine is the same.")
	}
	for _, change := range primary {
		s.change(change)
		s.follows(derived, func(d diff.Change) bool {
			// The plan's own value by the attribute's name would be said twice.
			return len(d.Because) == 1 && d.Because[0] == change.Path && d.Path != change.Path
		})
	}
	s.shared(derived)
	s.summary(primary, derived, silent)
	s.notes(c.After.Notes)
	return s.flush()
}

// change shows one: "~ machine.memory: 512MiB -> 1GiB, /etc/runcvm/profiles/web.hcl:7:14 (restart)".
func (s *sheet) change(c diff.Change) {
	mark, colour := "~", yellow
	switch {
	case c.Old == nil:
		mark, colour = "+", green
	case c.New == nil:
		mark, colour = "-", red
	}
	s.line("%s %s: %s -> %s, %s (%s)", s.colour(colour, mark), c.Path,
		diff.Text(c.Old), s.strong(diff.Text(c.New)), diff.Text(c.Cause), c.Class)
}

// follows names what else changes, by paths alone: JSON has the values.
func (s *sheet) follows(derived []diff.Change, belongs func(diff.Change) bool) {
	var paths []string
	for _, d := range derived {
		if belongs(d) {
			paths = append(paths, d.Path)
		}
	}
	if len(paths) > 0 {
		s.line("    %s", s.faint("with it: "+strings.Join(paths, ", ")))
	}
}

// shared shows what follows from more than one change, grouped by these.
func (s *sheet) shared(derived []diff.Change) {
	var seen []string
	for _, d := range derived {
		causes := strings.Join(d.Because, ", ")
		if len(d.Because) < 2 || slices.Contains(seen, causes) {
			continue
		}
		seen = append(seen, causes)
		s.line("  following %s:", causes)
		s.follows(derived, func(o diff.Change) bool { return strings.Join(o.Because, ", ") == causes })
	}
}

// needs says what a class asks for, in the words of the one who does it.
var needs = map[diff.Class]string{
	diff.Hot:      "for the running machine",
	diff.Restart:  "for the next start",
	diff.Recreate: "for a new container",
}

func (s *sheet) summary(primary, derived, silent []diff.Change) {
	counts := map[diff.Class]int{}
	for _, c := range primary {
		counts[c.Class]++
	}
	var parts []string
	for _, class := range []diff.Class{diff.Hot, diff.Restart, diff.Recreate} {
		if n := counts[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", n, needs[class], class))
		}
	}
	if len(primary)+len(derived) > 0 {
		s.line("")
		s.line("%s %s. Of the plan's other values, %d follow from these.", s.colour(bold, "Changes:"), strings.Join(parts, ", "), len(derived))
	}
	if len(silent) > 0 {
		what := "1 other difference, which leaves the machine as it is, is"
		if len(silent) > 1 {
			what = fmt.Sprintf("%d other differences, which leave the machine as it is, are", len(silent))
		}
		s.line("%s", s.faint(what+" shown by --format json."))
	}
}
