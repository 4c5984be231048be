package reference

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/schema"
)

// top is the repository's folder.
const top = "../.."

// notYet stands in the columns of an option that nothing sets yet.
const notYet = "not yet"

// row is a row of docs/options.md, each cell as a list of what it has in
// backticks, else of its text.
type row struct {
	line                            int
	option                          string
	attributes, cases, tests, whole []string
}

var quoted = regexp.MustCompile("`([^`]+)`")

func optionRows(t *testing.T) []row {
	t.Helper()
	var rows []row
	for i, line := range strings.Split(read(t, "docs/options.md"), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| `") || len(cells) != 4 {
			continue
		}
		list := func(cell string) (found []string) {
			for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
				found = append(found, m[1])
			}
			return found
		}
		r := row{line: i + 1, whole: cells, attributes: list(cells[1]), cases: list(cells[2]), tests: list(cells[3])}
		if options := list(cells[0]); len(options) == 1 {
			r.option = options[0]
		} else {
			t.Errorf("docs/options.md:%d: the first column has one option in backticks", r.line)
		}
		rows = append(rows, r)
	}
	return rows
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// testFunctions are the names of the functions in _test.go files below a
// folder, each with its file.
func testFunctions(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(data), -1) {
			found[m[1]] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOptions wants a row of docs/options.md for every value of every option of
// the list, and that what the rows name exists.
func TestOptions(t *testing.T) {
	rows := optionRows(t)
	known := map[string]bool{}
	for _, a := range schema.Attributes() {
		known[a.RowPath()] = true
	}
	tests := testFunctions(t, "conformance")
	for line := range strings.Lines(read(t, "profiles/reference/testdata/options.txt")) {
		option := strings.TrimSpace(line)
		if option == "" || strings.HasPrefix(option, "#") {
			continue
		}
		i := slices.IndexFunc(rows, func(r row) bool { return r.option == option })
		if i < 0 {
			t.Errorf("docs/options.md has no row for `%s`", option)
			continue
		}
		checkSetting(t, option, rows[i])
	}
	for _, r := range rows {
		at := fmt.Sprintf("docs/options.md:%d: %s", r.line, r.option)
		if strings.TrimSpace(r.whole[1]) == notYet {
			continue
		}
		for _, name := range r.attributes {
			if !known[name] {
				t.Errorf("%s: there is no attribute %s", at, name)
			}
		}
		checkCases(t, at, r)
		if len(r.tests) == 0 {
			t.Errorf("%s: no VM test is named", at)
		}
		for _, name := range r.tests {
			if tests[name] == "" {
				t.Errorf("%s: there is no test %s in conformance/", at, name)
			}
		}
	}
}

// checkSetting compares a row with what the option's variable sets.
func checkSetting(t *testing.T, option string, r row) {
	t.Helper()
	name, value, _ := strings.Cut(option, "=")
	settings, wrong := schema.ReadVariable(name, value)
	if pending := strings.TrimSpace(r.whole[1]) == notYet; wrong != nil || pending {
		switch {
		case wrong != nil && !pending:
			t.Errorf("docs/options.md:%d: %s: the variable is not understood: %s", r.line, option, wrong.Detail)
		case wrong == nil:
			t.Errorf("docs/options.md:%d: %s is understood now: name its attribute, golden case and VM test in the place of %q", r.line, option, notYet)
		}
		return
	}
	for _, s := range settings {
		if path := s.Attribute.RowPath(); !slices.Contains(r.attributes, path) {
			t.Errorf("docs/options.md:%d: %s sets %s, which the row does not name", r.line, option, path)
		}
	}
}

// checkCases wants golden cases that have the row's variable, or one of its
// attributes.
func checkCases(t *testing.T, at string, r row) {
	t.Helper()
	if len(r.cases) == 0 {
		t.Errorf("%s: no golden case is named", at)
	}
	for _, name := range r.cases {
		data, err := os.ReadFile(filepath.Join(top, "engine/testdata", name+".txtar"))
		if err != nil {
			t.Errorf("%s: there is no golden case %s", at, name)
			continue
		}
		variable, _, _ := strings.Cut(r.option, "=")
		has := strings.Contains(string(data), variable)
		for _, a := range r.attributes {
			has = has || strings.Contains(string(data), a[strings.LastIndexByte(a, '.')+1:])
		}
		if !has && strings.HasPrefix(variable, schema.VariablePrefix) {
			t.Errorf("%s: the golden case %s has neither the variable nor the attribute", at, name)
		}
	}
}

// TestPatchesReadme wants that the tests which patches/README.md names exist.
func TestPatchesReadme(t *testing.T) {
	tests := testFunctions(t, ".")
	count := 0
	for i, line := range strings.Split(read(t, "patches/README.md"), "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(line, -1) {
			count++
			if tests[m[1]] == "" {
				t.Errorf("patches/README.md:%d: there is no test %s", i+1, m[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("patches/README.md names %d tests, want one for each thing that was replaced", count)
	}
}
