package policytest

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
)

// FormatVersion is the version of a report's JSON.
const FormatVersion = "1"

// Result is what came of a case.
type Result struct {
	Name   string `json:"name"`
	Place  string `json:"place"` // file:line:column
	Expect string `json:"expect"`
	// Got is an outcome, or "error" when the request has mistakes that no policy is
	// asked about.
	Got    string `json:"got"`
	Passed bool   `json:"passed"`
	// Wrong says in sentences why it has not passed.
	Wrong []string `json:"wrong,omitempty"`
	// Said is what the policies have said.
	Said []string `json:"said,omitempty"`
}

// Report is the results of a run.
type Report struct {
	FormatVersion string   `json:"format_version"`
	Passed        int      `json:"passed"`
	Failed        int      `json:"failed"`
	Cases         []Result `json:"cases"`
}

// Run resolves the request of each case with the host's profiles, policies and
// patches.
func Run(set *profiles.Set, cases []Case) Report {
	report := Report{FormatVersion: FormatVersion, Cases: []Result{}}
	for _, c := range cases {
		r := c.run(set)
		if r.Passed {
			report.Passed++
		} else {
			report.Failed++
		}
		report.Cases = append(report.Cases, r)
	}
	return report
}

func (c *Case) run(set *profiles.Set) Result {
	profile, diags := profiles.Resolve(set, c.request, c.variables)
	r := Result{Name: c.Name, Place: c.Place.String(), Expect: c.expect}
	r.Got, r.Said = outcome(profile, diags)
	said := strings.Join(r.Said, "\n")
	if r.Got != c.expect {
		r.fail("It was expected to %s, and the outcome is %s.", c.expect, r.Got)
	}
	if c.rule != "" && !strings.Contains(said, fmt.Sprintf("the policy %q", c.rule)) && !strings.Contains(said, fmt.Sprintf("The policy %q", c.rule)) {
		r.fail("No rule of the policy %q has decided.", c.rule)
	}
	if c.message != "" && !strings.Contains(said, c.message) {
		r.fail("No message has %q.", c.message)
	}
	for _, path := range slices.Sorted(maps.Keys(c.values)) {
		a, want, _ := schema.ParseValue(path, c.values[path])
		if !reflect.DeepEqual(profile.Value(a), want) {
			r.fail("%s is %s, not %q.", path, profile.Origin(a).Value, c.values[path])
		}
	}
	r.Passed = len(r.Wrong) == 0
	return r
}

// outcome tells what came of a request, and what was said.
func outcome(profile *schema.Profile, diags diag.Diagnostics) (got string, said []string) {
	got = Allow
	for _, d := range diags {
		said = append(said, d.OneLine())
		switch {
		case d.Severity != diag.Error:
		case d.Summary == profiles.DeniedSummary && got != "error":
			got = Deny
		case d.Summary != profiles.DeniedSummary:
			got = "error"
		}
	}
	for _, w := range profile.Warnings {
		said = append(said, w.Summary+": "+w.Detail)
		if got == Allow {
			got = Clamp
		}
	}
	return got, said
}

func (r *Result) fail(format string, args ...any) {
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

// WriteText shows the report to people: a line for each case, and why those that
// failed have.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Cases {
		if c.Passed {
			fmt.Fprintf(&b, "ok    %s\n", c.Name)
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s\n      on %s\n", c.Name, c.Place)
		for _, line := range c.Wrong {
			fmt.Fprintf(&b, "      %s\n", line)
		}
		for _, line := range c.Said {
			fmt.Fprintf(&b, "      said: %s\n", line)
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed\n", r.Passed, r.Failed)
	_, err := io.WriteString(w, b.String())
	return err
}
