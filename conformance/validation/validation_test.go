package validation

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTAP(t *testing.T) {
	points, complained := parseTAP(`TAP version 13
ok 1 - has expected user ID
  ---
  {"actual": 0}
  ...
not ok 2 - create MUST create a new container
# a note
ok 3 # SKIP process.rlimits not set
not ok 4 # TODO we need an (r)bind spec to test against
ok 5 - shared root propagation exposes "/target12345/mount678/example9012"
<nil>
1..5
`)
	want := []Point{
		{OK: true, Description: "has expected user ID", Diagnostic: "  ---\n  {\"actual\": 0}\n  ...\n"},
		{Description: "create MUST create a new container", Diagnostic: "# a note\n"},
		{OK: true, Directive: "SKIP", Description: "process.rlimits not set"},
		{Directive: "TODO", Description: "we need an (r)bind spec to test against"},
		{OK: true, Description: `shared root propagation exposes "/targetN/mountN/exampleN"`},
	}
	if diff := cmp.Diff(want, points); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
	if len(complained) > 0 {
		t.Errorf("complaints %q of a program with points", complained)
	}
	if got := (&Result{Points: points}).Tally(); got != (Tally{OK: 2, NotOK: 1, Skipped: 2}) {
		t.Errorf("tally %s", got)
	}
	points, complained = parseTAP("TAP version 13\n  ---\n  error\n  ...\n1..0\n")
	if len(points) != 0 || len(complained) != 3 {
		t.Errorf("points %v, complaints %q", points, complained)
	}
}

func TestCompare(t *testing.T) {
	ok := func(d string) Point { return Point{OK: true, Description: d} }
	bad := func(d string) Point { return Point{Description: d} }
	reference := &Result{Points: []Point{ok("a"), ok("a"), bad("b"), ok("c"), ok("d")}}
	for name, test := range map[string]struct {
		tested Result
		want   []string
	}{
		"the same":      {*reference, nil},
		"better":        {Result{Points: []Point{ok("a"), ok("a"), ok("b"), ok("c"), ok("d"), bad("e")}}, nil},
		"one of two":    {Result{Points: []Point{ok("a"), bad("a"), ok("c"), ok("d")}}, []string{"a"}},
		"not come to":   {Result{Points: []Point{ok("a"), ok("a"), ok("c")}}, []string{"d"}},
		"skipped":       {Result{Points: []Point{ok("a"), ok("a"), ok("c"), {OK: true, Directive: "SKIP", Description: "d"}}}, []string{"d"}},
		"ended by sth.": {Result{Points: reference.Points, Ended: "exit status 1"}, []string{endsWell}},
	} {
		var got []string
		for _, d := range Compare("p", reference, &test.tested) {
			got = append(got, d.Assertion)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := Compare("p", reference, &Result{Ended: "exit status 1"}); len(got) != 1 || got[0].Assertion != everything {
		t.Errorf("a program that came to nothing: %v", got)
	}
	silent := &Result{}
	if got := Compare("p", silent, &Result{Complaints: []string{"x"}}); len(got) != 1 || got[0].Assertion != complaints {
		t.Errorf("a complaint: %v", got)
	}
}

func TestJudge(t *testing.T) {
	differences := []Difference{{Program: "p", Assertion: "a"}, {Program: "p", Assertion: "b"}}
	known := []Known{{Program: "p", Assertion: "b"}, {Program: "p", Assertion: "c"}, {Program: "q", Assertion: "a"}}
	unknown, stale := Judge(differences, known, func(program string) bool { return program == "p" })
	if len(unknown) != 1 || unknown[0].Assertion != "a" {
		t.Errorf("unknown: %v", unknown)
	}
	if len(stale) != 1 || stale[0].Assertion != "c" {
		t.Errorf("stale: %v", stale)
	}
}

func TestKnownFindsMistakes(t *testing.T) {
	for src, want := range map[string]string{
		"- fails: {p: [a]}":                         "needs a reason",
		"- {reason: r}":                             "what fails",
		"- {reason: r, fails: {p: []}}":             "p has no assertion",
		"- {reason: r, fails: {p: [a, a]}}":         "twice",
		"- {reason: r, fails: {p: [a]}, excuse: x}": "excuse",
	} {
		if _, err := parseKnown([]byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

// TestFiguresAndStatementsAgree: the figures that are kept are of a run that
// passed, so that a program does worse under RunCVM where it is stated.
func TestFiguresAndStatementsAgree(t *testing.T) {
	known, err := LoadKnown()
	if err != nil {
		t.Fatal(err)
	}
	figures, err := LoadFigures()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range figures.Programs {
		stated := slices.ContainsFunc(known, func(k Known) bool { return k.Program == p.Name })
		if worse := p.Tested.OK < p.Reference.OK; worse && !stated {
			t.Errorf("%s: runc %s, RunCVM %s, and known.yaml has no reason", p.Name, p.Reference, p.Tested)
		}
	}
	for _, k := range known {
		if !slices.ContainsFunc(figures.Programs, func(p Program) bool { return p.Name == k.Program }) {
			t.Errorf("known.yaml: the suite has no program %s", k.Program)
		}
	}
}
