package differential

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// identifier is what an engine names a container by: no two have the same.
var identifier = regexp.MustCompile(`\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b`)

// waiter is what docker's command says, or not, when a container cannot start:
// it had begun to wait for its end.
var waiter = regexp.MustCompile(`(?m)^time="[^"]*" level=error msg="error waiting for container: [^"]*"\s*\n`)

// logTime is when podman said something.
var logTime = regexp.MustCompile(`(?m)^time="[^"]*" level=`)

// compare returns what is wrong with the results of a case: differences that
// are not stated, and stated ones that are not there.
func compare(c *Case, reference, tested []Result) []string {
	var wrong []string
	for i, s := range c.Steps {
		if !s.Refused && reference[i].refused() {
			wrong = append(wrong, fmt.Sprintf("step %d (%s): the engine refuses it under the reference, too: %s", i+1, s.title(), reference[i].Stderr))
		}
		for _, what := range parts {
			if s.Background != "" || slices.Contains(s.Ignore, what) {
				continue
			}
			r, t := s.normal(reference[i].part(what)), s.normal(tested[i].part(what))
			stated := slices.IndexFunc(c.Differs, func(d Difference) bool { return d.Step == i+1 && d.What == what })
			if message := judge(c, stated, r, t); message != "" {
				wrong = append(wrong, fmt.Sprintf("step %d (%s), %s: %s", i+1, s.title(), what, message))
			}
		}
	}
	return wrong
}

// refused says that the command ended with an error of the engine, by its words
// or its exit code of its own.
func (r Result) refused() bool {
	const engineFailed = 125
	return r.Code == engineFailed || r.Code != 0 && strings.Contains(r.Stderr, "Error response from daemon")
}

func judge(c *Case, stated int, reference, tested string) string {
	switch {
	case stated < 0 && reference == tested:
		return ""
	case stated < 0:
		return describe(reference, tested)
	case reference == tested:
		return fmt.Sprintf("the stated difference is not there, both have %q", reference)
	}
	d := c.Differs[stated]
	for _, side := range []struct {
		name, text string
		want       *regexp.Regexp
	}{{"reference", reference, d.reference}, {"tested runtime", tested, d.tested}} {
		if !side.want.MatchString(side.text) {
			return fmt.Sprintf("the stated difference is another one: of the %s it wants %s, which has %q", side.name, side.want, side.text)
		}
	}
	return ""
}

// describe shows where two texts differ.
func describe(reference, tested string) string {
	const tooLong = 1 << 16
	if len(reference) < tooLong && len(tested) < tooLong {
		return "(-reference +tested)\n" + cmp.Diff(reference, tested)
	}
	same := 0
	for same < min(len(reference), len(tested)) && reference[same] == tested[same] {
		same++
	}
	return fmt.Sprintf("the reference has %d bytes, the tested runtime %d, of which the first %d are the same", len(reference), len(tested), same)
}

// normal is an output without what is another one each time.
func (s *Step) normal(output string) string {
	output = identifier.ReplaceAllString(output, "<id>")
	output = waiter.ReplaceAllString(output, "")
	output = logTime.ReplaceAllString(output, `time="<time>" level=`)
	for _, r := range s.Replace {
		output = r.match.ReplaceAllString(output, r.With)
	}
	if s.Sort {
		lines := strings.SplitAfter(output, "\n")
		slices.Sort(lines)
		output = strings.Join(lines, "")
	}
	return output
}

// title is the step in a few words.
func (s *Step) title() string {
	if s.Wait != "" {
		return "wait for " + s.Wait
	}
	const limit = 60
	title := strings.Join(strings.Fields(s.Docker), " ")
	if len(title) > limit {
		title = title[:limit] + "..."
	}
	return title
}
