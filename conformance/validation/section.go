package validation

import (
	"bytes"
	"fmt"
	"strings"
)

// Section is the part of docs/conformance.md about the suite: the figures of the
// last whole run that was kept, and what is known to fail.
func Section(f *Figures, known []Known) []byte {
	var b bytes.Buffer
	b.WriteString(`
## The OCI runtime-tools' validation suite

` + "`make validation`" + ` builds the [validation suite](https://github.com/opencontainers/runtime-tools) of the Open Container Initiative as it
is released, and runs each of its programs under runc and then under RunCVM, without a container engine. An assertion that holds
under runc alone is a failure, unless it is stated below; a stated one that holds is one, too, unless it varies. ` + "`make validation UPDATE=-update`" + ` keeps
the figures below.

`)
	reference, tested := f.Totals()
	fmt.Fprintf(&b, "| %d programs, %s | ok | not ok | skipped |\n|---|---|---|---|\n", len(f.Programs), f.Host)
	for _, row := range []struct {
		name string
		t    Tally
	}{{f.Reference, reference}, {f.Tested, tested}} {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", row.name, row.t.OK, row.t.NotOK, row.t.Skipped)
	}
	b.WriteString("\nWhat does not hold in a virtual machine, and why:\n\n| program | assertions | reason |\n|---|---|---|\n")
	for i := 0; i < len(known); {
		k := known[i]
		var assertions []string
		for ; i < len(known) && known[i].Program == k.Program && known[i].Reason == k.Reason; i++ {
			assertions = append(assertions, cell(known[i].Assertion))
		}
		if k.Varies {
			k.Reason += " (varies)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Program, strings.Join(assertions, "<br>"), cell(k.Reason))
	}
	b.WriteString("\nEach program:\n\n| program | runc: ok | not ok | skipped | RunCVM: ok | not ok | skipped |\n|---|---|---|---|---|---|---|\n")
	for _, p := range f.Programs {
		r, t := p.Reference, p.Tested
		fmt.Fprintf(&b, "| `%s` | %d | %d | %d | %d | %d | %d |\n", p.Name, r.OK, r.NotOK, r.Skipped, t.OK, t.NotOK, t.Skipped)
	}
	return b.Bytes()
}

// cell is a text as a table of Markdown holds it.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
