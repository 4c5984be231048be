package terminal

import (
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/internal/diag"
)

func TestStyleOf(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer tty.Close()
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	tests := map[string]struct {
		file          *os.File
		noColor, term string
		want          bool
	}{
		"terminal":          {tty, "", "xterm", true},
		"NO_COLOR":          {tty, "1", "xterm", false},
		"a dumb terminal":   {tty, "", "dumb", false},
		"a pipe":            {other, "", "xterm", false},
		"a pipe, no colour": {other, "1", "dumb", false},
	}
	for name, test := range tests {
		t.Setenv("NO_COLOR", test.noColor)
		t.Setenv("TERM", test.term)
		if got := StyleOf(test.file).Color; got != test.want {
			t.Errorf("%s: colour %t, want %t", name, got, test.want)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	ds := diag.Diagnostics{
		{Severity: diag.Error, Summary: "Bad", Detail: "It is bad."},
		{Severity: diag.Warning, Summary: "Odd", Detail: "It is odd."},
	}
	if diff := cmp.Diff(ds.Error(), Style{}.Diagnostics(ds)); diff != "" {
		t.Errorf("without colours (-want +got):\n%s", diff)
	}
	got := Style{Color: true}.Diagnostics(ds)
	for _, want := range []string{"\x1b[1;31mError:\x1b[0m \x1b[1mBad\x1b[0m\n", "\x1b[1;33mWarning:\x1b[0m "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	const diff = "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n same\n"
	if got := (Style{}).Diff(diff); got != diff {
		t.Errorf("without colours: %q", got)
	}
	want := "\x1b[1m--- a\x1b[0m\n\x1b[1m+++ b\x1b[0m\n\x1b[2m@@ -1 +1 @@\x1b[0m\n\x1b[31m-x\x1b[0m\n\x1b[32m+y\x1b[0m\n same\n"
	if got := (Style{Color: true}).Diff(diff); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
