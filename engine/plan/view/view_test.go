package view

import (
	"strings"
	"testing"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/plan/diff"
)

// example is a comparison with a value that would draw on the terminal.
func example() *Comparison {
	return &Comparison{
		Before:  Side{Name: "one", Plan: &plan.Plan{}},
		After:   Side{Name: "two", Plan: &plan.Plan{}, Notes: []string{"assumed"}},
		Changes: []diff.Change{{Path: "a.b", Old: "x", New: "\x1b[2Jy\n", Class: diff.Restart, Kind: diff.Attribute, Cause: "web.hcl:1:1"}},
	}
}

func TestColourIsForTerminals(t *testing.T) {
	for _, coloured := range []bool{false, true} {
		var text strings.Builder
		v := New("text", &text, Options{Colour: coloured})
		if err := v.Comparison(example()); err != nil {
			t.Fatal(err)
		}
		if err := v.Plan(&plan.Plan{Warnings: []plan.Warning{{Summary: "s"}}}, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), "\x1b"); got != coloured {
			t.Errorf("colour is %v, want %v:\n%q", got, coloured, text.String())
		}
		if strings.Contains(text.String(), "\x1b[2J") {
			t.Errorf("a value draws on the terminal:\n%q", text.String())
		}
	}
}

func TestNew(t *testing.T) {
	for _, format := range Formats {
		if New(format, nil, Options{}) == nil {
			t.Errorf("%s has no view", format)
		}
	}
	if New("yaml", nil, Options{}) != nil {
		t.Error("there is a view of a format that is not listed")
	}
}

// TestDigest shows a plan as the compiler leaves it: Encode has not set the
// digest yet.
func TestDigest(t *testing.T) {
	p := &plan.Plan{FormatVersion: plan.FormatVersion, Machine: plan.Machine{CPUs: 1}}
	var text, document strings.Builder
	if err := New("text", &text, Options{}).Plan(p, nil); err != nil {
		t.Fatal(err)
	}
	if err := New("json", &document, Options{}).Plan(p, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.Digest, "sha256:") || !strings.Contains(text.String(), p.Digest) || !strings.Contains(document.String(), p.Digest) {
		t.Errorf("%q is not in:\n%s\n%s", p.Digest, text.String(), document.String())
	}
	if _, err := plan.Decode([]byte(document.String())); err != nil {
		t.Errorf("the JSON is no plan: %v", err)
	}
}
