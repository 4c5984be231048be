package conformance

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/differential"
)

// TestFeaturesNameTheirProof: each row of docs/features.md names tests and cases
// that there are, or says that it is not yet so.
func TestFeaturesNameTheirProof(t *testing.T) {
	there := testsAndCases(t)
	page, err := os.ReadFile("../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		number, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil || len(cells) < 2 {
			continue
		}
		rows++
		if number != rows || len(cells) != 4 {
			t.Fatalf("row %d has the number %d and %d columns", rows, number, len(cells))
		}
		proof := cells[3]
		names := quoted.FindAllStringSubmatch(proof, -1)
		if len(names) == 0 && !strings.Contains(proof, "not yet") {
			t.Errorf("row %d names nothing that shows it", number)
		}
		for _, name := range names {
			if !slices.Contains(there, name[1]) {
				t.Errorf("row %d: there is no test or case %s", number, name[1])
			}
		}
	}
	if rows == 0 {
		t.Error("docs/features.md has no rows")
	}
}

// TestPredecessorNamesItsProof: what docs/predecessor.md names as shown by tests and
// cases, there is.
func TestPredecessorNamesItsProof(t *testing.T) {
	there := testsAndCases(t)
	page, err := os.ReadFile("../docs/predecessor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## Behaviour")
	if !found {
		t.Fatal("docs/predecessor.md tells no behaviour")
	}
	rows := regexp.MustCompile(`(?m)^\|.*\|([^|]*`+"`"+`[^|]*)\|$`).FindAllStringSubmatch(table, -1)
	if len(rows) == 0 {
		t.Error("docs/predecessor.md has no rows")
	}
	for _, row := range rows {
		for _, name := range quoted.FindAllStringSubmatch(row[1], -1) {
			if !slices.Contains(there, name[1]) {
				t.Errorf("there is no test or case %s: %s", name[1], row[0])
			}
		}
	}
}

// quoted is what a page has in backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// testsAndCases are the names that pages give as proof.
func testsAndCases(t *testing.T) []string {
	t.Helper()
	there := testFunctions(t)
	cases, err := differential.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		there = append(there, c.Name)
	}
	return there
}

// testFunctions are the names of the repository's tests.
func testFunctions(t *testing.T) []string {
	t.Helper()
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	var names []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range declaration.FindAllSubmatch(src, -1) {
			names = append(names, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
