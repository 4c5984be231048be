package diag

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const source = "profile \"web\" {\n\tcpu = 2\n}\n"

func example() *Diagnostic {
	place := Locate("/etc/runcvm/profiles/web.hcl", []byte(source), strings.Index(source, "cpu"))
	return &Diagnostic{
		Severity: Error, Summary: "Unsupported attribute", Detail: "A machine block has no attribute \"cpu\".\nDid you mean \"cpus\"?",
		Range: &place, Snippet: Excerpt([]byte(source), place, `in profile "web"`),
	}
}

func TestText(t *testing.T) {
	want := `Error: Unsupported attribute

  on /etc/runcvm/profiles/web.hcl line 2, in profile "web":
    2:  cpu = 2

A machine block has no attribute "cpu".
Did you mean "cpus"?
`
	if diff := cmp.Diff(want, example().Text()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOneLine(t *testing.T) {
	want := `/etc/runcvm/profiles/web.hcl:2:2: Unsupported attribute: A machine block has no attribute "cpu". Did you mean "cpus"?`
	warning := &Diagnostic{Severity: Warning, Summary: "Old", Detail: "It is old."}
	tests := []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("a\n b"), "a b"},
		{Diagnostics{example()}, want},
		{fmt.Errorf("load: %w", Diagnostics{warning, example()}), want + "; warning: Old: It is old."},
	}
	for _, test := range tests {
		if got := OneLine(test.err); got != test.want {
			t.Errorf("OneLine(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}

func TestJSON(t *testing.T) {
	out, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"severity":"error"`, `"start":{"line":2,"column":2,"byte":17}`, `"context":"in profile \"web\""`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s lacks %s", out, want)
		}
	}
}

func TestErr(t *testing.T) {
	if err := (Diagnostics{{Severity: Warning}}).Err(); err != nil {
		t.Errorf("a warning is an error: %v", err)
	}
	if err := (Diagnostics{example()}).Err(); err == nil {
		t.Error("an error is none")
	}
}

func TestExcerptOfALongLine(t *testing.T) {
	line := strings.Repeat("x", 500) + "HERE" + strings.Repeat("\x1b", 500)
	place := Locate("f", []byte(line), 500)
	got := Excerpt([]byte(line), place, "").Code
	if len(got) > maxCode+6 || !strings.Contains(got, "HERE") || strings.Contains(got, "\x1b") {
		t.Errorf("excerpt %q", got)
	}
}

func TestNearest(t *testing.T) {
	options := []string{"cpus", "memory", "accel", "web", "append"}
	tests := map[string]string{
		"cpu": "cpus", "CPUS": "cpus", "memroy": "memory", "mem": "memory", "wbe": "web",
		"acel": "accel", "xyz": "", "": "", "ab": "",
	}
	for given, want := range tests {
		if got := Nearest(given, options); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", given, got, want)
		}
	}
}
