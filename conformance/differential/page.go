package differential

import (
	"bytes"
	"fmt"
	"strings"
)

// Page is docs/conformance.md: every case, and every stated difference with its
// reason.
func Page(cases []Case) []byte {
	var b bytes.Buffer
	b.WriteString(`# Conformance

<!-- Written by ` + "`make docs`" + ` from the cases in conformance/differential/cases and from conformance/validation/*.yaml. Change those. -->

The same commands of a container engine run under runc and under RunCVM, and what both show is compared: standard output,
standard error, exit code, and for some the class of their duration. A difference is a failure, unless it is stated here; a stated
difference that is not there is one, too.

` + "```sh" + `
runcvm conformance run                        # on this host's engine; --help lists the options
runcvm conformance run --case 'user-*'        # some of the cases
runcvm conformance run --format junit         # or tap
` + "```" + `

`)
	fmt.Fprintf(&b, "## Stated differences\n\n| case | what | runc | RunCVM | reason |\n|---|---|---|---|---|\n")
	for i := range cases {
		for _, d := range cases[i].Differs {
			fmt.Fprintf(&b, "| `%s` | %s of `%s` | `%s` | `%s` | %s |\n", cases[i].Name, d.What, cell(cases[i].Steps[d.Step-1].title()),
				cell(d.Reference), cell(d.Tested), cell(d.Reason))
		}
	}
	fmt.Fprintf(&b, "\n## Cases\n\nThere are %d.\n\n| case | what is the same |\n|---|---|\n", len(cases))
	for i := range cases {
		fmt.Fprintf(&b, "| `%s` | %s |\n", cases[i].Name, cell(cases[i].Description))
	}
	return b.Bytes()
}

// cell is a text as a table of Markdown holds it.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
