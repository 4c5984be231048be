package differential

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Formats are those of a report.
var Formats = []string{"text", "tap", "junit"}

// Reporter writes outcomes as they come.
type Reporter struct {
	w      io.Writer
	format string
	total  int

	count, failed, skipped, differing int
	suite                             junitSuite
}

// NewReporter begins a report of total cases in one of Formats.
func NewReporter(w io.Writer, format string, total int) *Reporter {
	r := &Reporter{w: w, format: format, total: total, suite: junitSuite{Name: "runcvm.conformance"}}
	if format == "tap" {
		fmt.Fprintf(w, "TAP version 13\n1..%d\n", total)
	}
	return r
}

// Failed is the number of cases that failed so far.
func (r *Reporter) Failed() int { return r.failed }

// Add reports a case.
func (r *Reporter) Add(o Outcome) {
	r.count++
	switch {
	case o.Skipped != "":
		r.skipped++
	case len(o.Failures) > 0:
		r.failed++
	case len(o.Case.Differs) > 0:
		r.differing++
	}
	switch r.format {
	case "tap":
		r.addTAP(o)
	case "junit":
		r.suite.add(o)
	default:
		r.addText(o)
	}
}

func (r *Reporter) addText(o Outcome) {
	verdict := "ok"
	switch {
	case o.Skipped != "":
		verdict = "skipped"
	case len(o.Failures) > 0:
		verdict = "FAILED"
	case len(o.Case.Differs) > 0:
		verdict = "differs"
	}
	fmt.Fprintf(r.w, "%-8s %s: %s\n", verdict, o.Case.Name, o.Case.Description)
	if o.Skipped != "" {
		fmt.Fprintf(r.w, "         %s\n", o.Skipped)
	}
	for _, f := range o.Failures {
		fmt.Fprintf(r.w, "         %s\n", indent(f, "         "))
	}
	if verdict != "differs" {
		return
	}
	for _, d := range o.Case.Differs {
		fmt.Fprintf(r.w, "         step %d, %s: %s\n", d.Step, d.What, strings.Join(strings.Fields(d.Reason), " "))
	}
}

func (r *Reporter) addTAP(o Outcome) {
	verdict := "ok"
	if len(o.Failures) > 0 {
		verdict = "not ok"
	}
	line := fmt.Sprintf("%s %d - %s", verdict, r.count, o.Case.Name)
	if o.Skipped != "" {
		line += " # SKIP " + o.Skipped
	}
	fmt.Fprintln(r.w, line)
	for _, f := range o.Failures {
		fmt.Fprintf(r.w, "# %s\n", indent(f, "# "))
	}
}

// Close ends the report.
func (r *Reporter) Close() error {
	if r.format == "text" {
		_, err := fmt.Fprintf(r.w, "\n%d cases: %d equal, %d with stated differences, %d failed, %d skipped\n",
			r.count, r.count-r.differing-r.failed-r.skipped, r.differing, r.failed, r.skipped)
		return err
	}
	if r.format != "junit" {
		return nil
	}
	r.suite.Tests, r.suite.Failures, r.suite.Skipped = r.count, r.failed, r.skipped
	if _, err := io.WriteString(r.w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(r.w)
	enc.Indent("", "  ")
	if err := enc.Encode(&r.suite); err != nil {
		return err
	}
	_, err := io.WriteString(r.w, "\n")
	return err
}

func indent(text, by string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}

// junitSuite is the testsuite element that CI systems read.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Seconds string   `xml:"time,attr"`
	Failure *message `xml:"failure"`
	Skipped *message `xml:"skipped"`
}

type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (s *junitSuite) add(o Outcome) {
	c := junitCase{Name: o.Case.Name, Class: s.Name, Seconds: fmt.Sprintf("%.3f", o.Elapsed.Seconds())}
	if o.Skipped != "" {
		c.Skipped = &message{Message: o.Skipped}
	}
	if len(o.Failures) > 0 {
		c.Failure = &message{Message: o.Case.Description, Text: strings.Join(o.Failures, "\n")}
	}
	s.Cases = append(s.Cases, c)
}
