package schema_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// everything parses a file, links it and evaluates all of its profiles, and
// returns what is wrong.
func everything(src []byte, name string) diag.Diagnostics {
	file, diags := schema.Parse(src, name, "file")
	_, more := schema.Link(file)
	diags = append(diags, more...)
	scope := schema.NewScope(schema.Variables{})
	for _, d := range file.Profiles {
		_, more := d.Evaluate(scope)
		diags = append(diags, more...)
	}
	return append(diags, scope.Diagnostics()...)
}

// expectation is what a fixture says of its line: "# ERROR: summary | part of
// the detail".
type expectation struct {
	line          int
	only          bool // this form alone can have the mistake
	summary, part string
}

var expectationPattern = regexp.MustCompile(`# ERROR(\((?:HCL|YAML)\))?: ([^#|]*)(?:\|([^#]*))?`)

func expectations(src []byte) []expectation {
	var list []expectation
	for i, line := range strings.Split(string(src), "\n") {
		for _, m := range expectationPattern.FindAllStringSubmatch(line, -1) {
			list = append(list, expectation{i + 1, m[1] != "", strings.TrimSpace(m[2]), strings.TrimSpace(m[3])})
		}
	}
	return list
}

// TestMistakes wants exactly the diagnostics that the fixtures name beside their
// lines, with a place and the source, and the same ones in all forms.
func TestMistakes(t *testing.T) {
	shared := map[string][]string{}
	for _, name := range []string{"testdata/mistakes.hcl", "testdata/mistakes.yaml"} {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		diags := everything(src, name)
		detailed := 0
		for _, want := range expectations(src) {
			if want.part != "" {
				detailed++
			}
			if !want.only {
				shared[name] = append(shared[name], want.summary)
			}
			i := slices.IndexFunc(diags, func(d *diag.Diagnostic) bool {
				return d.Range != nil && d.Range.Start.Line == want.line && d.Summary == want.summary && strings.Contains(d.Detail, want.part)
			})
			if i < 0 {
				t.Errorf("%s:%d: there is no %q with %q", name, want.line, want.summary, want.part)
				continue
			}
			checkComplete(t, diags[i])
			diags = slices.Delete(diags, i, i+1)
		}
		for _, d := range diags {
			t.Errorf("not expected: %s", d.Text())
		}
		if detailed < 80 {
			t.Errorf("%s has %d mistakes with a part of their detail, want 80", name, detailed)
		}
		slices.Sort(shared[name])
	}
	if diff := cmp.Diff(shared["testdata/mistakes.hcl"], shared["testdata/mistakes.yaml"]); diff != "" {
		t.Errorf("mistakes of both forms (-HCL +YAML):\n%s", diff)
	}
}

func checkComplete(t *testing.T, d *diag.Diagnostic) {
	t.Helper()
	if d.Snippet == nil || d.Snippet.Code == "" || d.Detail == "" || d.Range.End.Byte < d.Range.Start.Byte {
		t.Errorf("incomplete: %s", d.Text())
	}
}
