package validation

import (
	"regexp"
	"strings"
)

// Point is one assertion that a program reports, a test point of the Test
// Anything Protocol (https://testanything.org/tap-version-13-specification.html).
type Point struct {
	OK bool
	// Directive is SKIP or TODO; empty when the assertion counts.
	Directive   string
	Description string
	// Diagnostic are the lines that stand with the point, as they are.
	Diagnostic string
}

var pointLine = regexp.MustCompile(`^(not )?ok\b(?:\s+\d+)?(?:\s+-)?\s*(.*)$`)

var directive = regexp.MustCompile(`(?i)^(.*?)#\s*(SKIP|TODO)\S*\s*(.*)$`)

// parseTAP reads a program's output. Complaints are the diagnostics of a program
// without any point: some of the suite print nothing when all is well, and a
// block of YAML when it is not.
func parseTAP(output string) (points []Point, complaints []string) {
	var loose []string
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\n")
		if m := pointLine.FindStringSubmatch(line); m != nil {
			points = append(points, point(m[1] == "", m[2]))
			continue
		}
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
			continue // the version, the plan, or a program's own words
		}
		if len(points) == 0 {
			loose = append(loose, line)
			continue
		}
		last := &points[len(points)-1]
		last.Diagnostic += line + "\n"
	}
	if len(points) == 0 {
		complaints = loose
	}
	return points, complaints
}

// point reads what follows the number. The suite writes a directive before its
// description, where others write it behind.
func point(ok bool, text string) Point {
	m := directive.FindStringSubmatch(text)
	if m == nil {
		return Point{OK: ok, Description: normal(text)}
	}
	return Point{OK: ok, Directive: strings.ToUpper(m[2]), Description: normal(m[1] + m[3])}
}

// passing are parts of descriptions that are others each time: the names of
// temporary files and containers.
var passing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`(/(?:target|mount|test|example|tmp|ocitest|Test))\d{3,}`), "${1}N"},
	{regexp.MustCompile(`(\w+:\[)\d+\]`), "${1}N]"},
}

// normal is a description that is the same in every run.
func normal(description string) string {
	description = strings.TrimSpace(description)
	for _, p := range passing {
		description = p.pattern.ReplaceAllString(description, p.with)
	}
	return description
}
