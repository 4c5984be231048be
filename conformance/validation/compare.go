package validation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tally counts the outcomes of assertions.
type Tally struct {
	OK      int `yaml:"ok"`
	NotOK   int `yaml:"not_ok"`
	Skipped int `yaml:"skipped"` // the program had nothing to test, or says that it cannot yet
}

// String is the tally in words.
func (t Tally) String() string {
	return fmt.Sprintf("%d ok, %d not ok, %d skipped", t.OK, t.NotOK, t.Skipped)
}

func (t *Tally) count(p Point) {
	switch {
	case p.Directive != "":
		t.Skipped++
	case p.OK:
		t.OK++
	default:
		t.NotOK++
	}
}

// Plus is the sum of two tallies.
func (t Tally) Plus(o Tally) Tally {
	return Tally{t.OK + o.OK, t.NotOK + o.NotOK, t.Skipped + o.Skipped}
}

// Result is what one program reported of one runtime.
type Result struct {
	Points     []Point
	Complaints []string
	// Ended says how the program ended: "exit status 1", or that its time was over;
	// empty when it succeeded.
	Ended  string
	Stderr string
}

// Tally counts the program's points.
func (r *Result) Tally() Tally {
	var t Tally
	for _, p := range r.Points {
		t.count(p)
	}
	return t
}

// Failures is what the program said of all that does not hold.
func (r *Result) Failures() string {
	var b strings.Builder
	for i, p := range r.Points {
		if p.OK || p.Directive != "" {
			continue
		}
		before := ""
		if i > 0 { // some diagnostics stand before their point
			before = r.Points[i-1].Diagnostic
		}
		fmt.Fprintf(&b, "%s  not ok: %s\n%s", before, p.Description, p.Diagnostic)
	}
	for _, said := range []struct{ name, text string }{
		{"ended", r.Ended}, {"complaints", strings.Join(r.Complaints, "\n")}, {"stderr", r.Stderr},
	} {
		if said.text != "" {
			fmt.Fprintf(&b, "  %s: %s\n", said.name, strings.TrimRight(said.text, "\n"))
		}
	}
	return b.String()
}

// Assertions beside the points, which the totals do not count.
const (
	endsWell   = "(the program succeeds)"
	complaints = "(the program has nothing to complain of)"
	// everything is what a program would have looked at that came to nothing.
	everything = "(everything)"
)

// assertions are the outcomes by description.
func (r *Result) assertions() map[string]Tally {
	all := map[string]Tally{}
	add := func(p Point) {
		t := all[p.Description]
		t.count(p)
		all[p.Description] = t
	}
	for _, p := range r.Points {
		add(p)
	}
	add(Point{OK: len(r.Complaints) == 0, Description: complaints})
	add(Point{OK: r.Ended == "", Description: endsWell})
	return all
}

// Difference is an assertion that holds less often under the tested runtime: it
// fails, or the program did not come to it.
type Difference struct {
	Program, Assertion string
	Reference, Tested  Tally
}

// Compare lists the assertions of a program that hold for the reference and not
// for the tested runtime, by description.
func Compare(program string, reference, tested *Result) []Difference {
	if len(tested.Points) == 0 && reference.Tally().OK > 0 {
		return []Difference{{program, everything, reference.Tally(), Tally{}}}
	}
	var all []Difference
	want, got := reference.assertions(), tested.assertions()
	for _, assertion := range slices.Sorted(maps.Keys(want)) {
		if w, g := want[assertion], got[assertion]; g.OK < w.OK {
			all = append(all, Difference{program, assertion, w, g})
		}
	}
	return all
}

// Judge sorts the differences of the programs that ran: those that nobody has
// stated, and the statements of which nothing is to be seen.
func Judge(differences []Difference, known []Known, ran func(program string) bool) (unknown []Difference, stale []Known) {
	for _, d := range differences {
		if !slices.ContainsFunc(known, func(k Known) bool { return k.is(d) }) {
			unknown = append(unknown, d)
		}
	}
	for _, k := range known {
		if !k.Varies && ran(k.Program) && !slices.ContainsFunc(differences, k.is) {
			stale = append(stale, k)
		}
	}
	return unknown, stale
}
