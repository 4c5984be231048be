package document_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema/document"
)

// render writes a tree in a line.
func render(n *document.Node) string {
	if n == nil {
		return "none"
	}
	switch n.Kind {
	case document.Null:
		return "null"
	case document.String:
		return fmt.Sprintf("%q", n.Text)
	case document.List:
		var parts []string
		for _, i := range n.Items {
			parts = append(parts, render(i))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case document.Mapping:
		var parts []string
		for _, e := range n.Entries {
			parts = append(parts, e.Key+":"+render(e.Value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	default:
		return n.Text
	}
}

func TestYAML(t *testing.T) {
	tests := map[string]string{
		"":                                  "",
		"# nothing\n":                       "",
		"---\n---\n":                        "",
		"\ufeffa: 1\r\nb: 2\r\n":            "{a:1 b:2}",
		"a: 1\n---\nb: 2\n...\n":            "{a:1} {b:2}",
		"a: [yes, no, on, off, y]":          `{a:["yes" "no" "on" "off" "y"]}`,
		"a: [true, False, ~, null, Null, ]": "{a:[true false null null null]}",
		"a: [1, +2, -3, 0, 1.50, .5, +1., 1e3, 0o17, 0x1F]":      "{a:[1 2 -3 0 1.50 0.5 1 1e3 15 31]}",
		"a: [1_000, 12:30:45, 2001-01-01, 0b1, 0o9, 1e, .]":      `{a:["1_000" "12:30:45" "2001-01-01" "0b1" "0o9" "1e" "."]}`,
		"a: [!!str 12, !!int '12', !!float 1, !!null '', ! 12]":  `{a:["12" 12 1 null "12"]}`,
		"a: !!map {b: !!seq [1]}":                                "{a:{b:[1]}}",
		"a: &x {b: 1}\nc: *x\nd: &y 2\ne: *y\n":                  "{a:{b:1} c:{b:1} d:2 e:2}",
		"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n":                "{a:{b:1 c:2} d:{c:3 b:1}}",
		"a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne:\n  <<: [*x, *y]\n": "{a:{b:1} c:{b:2 d:3} e:{b:1 d:3}}",
		"a: &x {b: 1}\nc: &y {<<: *x, d: 2}\ne: {<<: *y}\n":      "{a:{b:1} c:{d:2 b:1} e:{d:2 b:1}}",
		"'<<': 1\n":              "{<<:1}",
		"a: &x b\n*x : 1\n":      `{a:"b" b:1}`,
		"? a\n: - b\n  - c: d\n": `{a:["b" {c:"d"}]}`,
		"a: 'it''s'\nb: \"\\x41\\u00e9\\U0001F600\\n\\\n  end\"\n": `{a:"it's" b:"Aé😀\nend"}`,
		"a: |\n  x\n   y\n\n  z\nb: >-\n  x\n  y\n\n  z\n":         `{a:"x\n y\n\nz\n" b:"x y\nz"}`,
		"a: x\n  y\n\n  z\nb: 'x\n  y'\n":                          `{a:"x y\nz" b:"x y"}`,
		"a:\nb: ''\n":                                              `{a:null b:""}`,
		"%YAML 1.2\n---\na: 1\n":                                   "{a:1}",
		"%YAML 1.1\n---\na: 1\n":                                   "{a:1}",
	}
	for src, want := range tests {
		roots, diags := document.ParseYAML([]byte(src), "t.yaml")
		var got []string
		for _, r := range roots {
			got = append(got, render(r))
		}
		if strings.Join(got, " ") != want || diags != nil {
			t.Errorf("%q is %s, want %s; %v", src, strings.Join(got, " "), want, diags)
		}
	}
}

func TestJSON(t *testing.T) {
	tests := map[string]string{
		"":         "none",
		" \r\n\t":  "none",
		"\ufeff{}": "{}",
		`{"a": [1, -2.5e3, true, false, null, "x", {}]}`:    `{a:[1 -2.5e3 true false null "x" {}]}`,
		`{"a\u0062": "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`: `{ab:"\"\\/\b\f\n\r\té😀"}`,
		"{\"a\":\t1 ,\r\n \"b\" : [ ] }":                    "{a:1 b:[]}",
	}
	for src, want := range tests {
		root, diags := document.ParseJSON([]byte(src), "t.json")
		if got := render(root); got != want || diags != nil {
			t.Errorf("%q is %s, want %s; %v", src, got, want, diags)
		}
	}
}

// TestMistakes wants one diagnostic at a place of each document.
func TestMistakes(t *testing.T) {
	bomb := "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	deep := strings.Repeat("[", 20000)
	tests := []struct{ form, src, want string }{
		{"yaml", "a: 1\na: 2\n", "2:1: Duplicate key: The key \"a\" is in this mapping already, at t:1:1."},
		{"yaml", "a:\n\tb: 1\n", "2:1: Tab in the indentation"},
		{"yaml", "a: 1\n\tb: 2\n", "2:1: Tab in the indentation"},
		{"yaml", "a: |\n text\n\ttab\n", "3:1: Tab in the indentation"},
		{"yaml", "a: [1\nb: 2\n", "2:2: Invalid YAML: The list that begins at t:1:4 has no comma or closing bracket here."},
		{"yaml", "a: [1\n\n", "1:4: Invalid YAML: The list that begins at t:1:4 has"},
		{"yaml", "a: {b: 1\n", "1:4: Invalid YAML: The mapping that begins at t:1:4 has"},
		{"yaml", "b: 1\na: \"x\n", "2:4: Invalid YAML: The text that begins here has no closing quote."},
		{"yaml", "a: 1\nfoo\nb: 2\n", "2:1: Invalid YAML: This line has no colon"},
		{"yaml", "a: 1\n b: 2\n", "2:3: Invalid YAML: A second colon"},
		{"yaml", "a: b: c\n", "1:5: Invalid YAML: A second colon"},
		{"yaml", "a: *x\n", "1:4: Invalid YAML: There is no anchor &x"},
		{"yaml", "a: @x\n", "1:4: Invalid YAML: The character \"@\" cannot begin text"},
		{"yaml", "a: `x`\n", "1:4: Invalid YAML: The character \"`\" cannot begin text"},
		{"yaml", "- a\nb: 1\n", "2:1: Invalid YAML: This is not an element of the list"},
		{"yaml", "a: 'x' y\n", "1:8: Invalid YAML: This does not go on with the mapping"},
		{"yaml", "é: 1\na: \"\\q\"\n", "2:5: Invalid YAML: This is no escape of YAML."},
		{"yaml", "a: \"\\ud83d\\ude00\"", "1:7: Invalid YAML: This escape is no character"},
		{"yaml", "%YAML 2.0\n---\na: 1\n", "1:1: Invalid YAML"},
		{"yaml", "a: !x!y z\n", "1:4: Invalid YAML: A profile has no tags of its own."},
		{"yaml", "é: é\x01\n", "1:5: Invalid character: The character U+0001"},
		{"yaml", "a: é\xff\n", "1:5: Invalid character encoding: The byte 0xff"},
		{"yaml", "\xff\xfea\x00", "1:1: Invalid character encoding: The document is in UTF-16"},
		{"yaml", "a: &x [*x]\n", "1:8: Alias inside of its anchor"},
		{"yaml", "a: &x {<<: *x}\n", "1:12: Alias inside of its anchor"},
		{"yaml", bomb, "Too many aliases"},
		{"yaml", "a: 012\n", "1:4: Ambiguous number: 012 is decimal in YAML 1.2"},
		{"yaml", "a: -.Inf\n", "1:4: Not a number"},
		{"yaml", "a: " + strings.Repeat("9", 500), "1:4: Number too large"},
		{"yaml", "a: 1e999999999", "1:4: Number too large"},
		{"yaml", "a: !!binary eA==\n", "1:13: Unsupported tag"},
		{"yaml", "a: !!timestamp 2001-01-01\n", "1:16: Unsupported tag"},
		{"yaml", "a: !!omap [b: 1]\n", "1:11: Unsupported tag"},
		{"yaml", "a: !!int x\n", "1:10: Unsupported tag"},
		{"yaml", "a: !mine x\n", "1:10: Unsupported tag"},
		{"yaml", "a: {1: x}\n", "1:5: Invalid key: The name in front of a colon is text, and \"1\" without quotes is a number"},
		{"yaml", "true: x\n", "1:1: Invalid key"},
		{"yaml", "~: x\n", "1:1: Invalid key"},
		{"yaml", "[a]: x\n", "1:1: Invalid key"},
		{"yaml", "<<: 1\n", "1:5: Invalid merge"},
		{"yaml", deep, "Nested too deeply"},
		{"yaml", strings.Repeat("[", 100) + strings.Repeat("]", 100), "1:66: Nested too deeply"},
		{"yaml", strings.Repeat(" ", document.MaxSize+1), "Document too large"},
		{"json", "{\"a\": 1,\n \"a\": 2}", "2:2: Duplicate key: The key \"a\" is in this mapping already, at t:1:2."},
		{"json", `{"a": 1,}`, "1:9: Invalid JSON: JSON has no comma behind the last element"},
		{"json", `{"a": [1,]}`, "1:10: Invalid JSON: JSON has no comma behind"},
		{"json", `{"a": 1 "b": 2}`, "1:9: Invalid JSON: A comma or a closing brace is missing"},
		{"json", `{"a": [1 2]}`, "1:10: Invalid JSON: A comma or a closing bracket is missing"},
		{"json", `{"a" 1}`, "1:6: Invalid JSON: A colon is missing"},
		{"json", `{"a" = 1}`, "1:6: Invalid JSON: JSON has a colon between"},
		{"json", `{a: 1}`, "1:2: Invalid JSON: A name is text in double quotes"},
		{"json", `{'a': 1}`, "1:2: Invalid JSON: JSON has text in double quotes only"},
		{"json", "{\n// no\n}", "2:1: Invalid JSON: JSON has no comments"},
		{"json", "{\"a\": 1", "1:8: Invalid JSON: The document ends too early"},
		{"json", "{\"a\": \"x\n\"}", "1:9: Invalid JSON: A string stays on one line"},
		{"json", `{"a": "\q"}`, "1:9: Invalid JSON: This is no escape of JSON."},
		{"json", `{"a": auto}`, "1:7: Invalid JSON: A value is a number"},
		{"json", `{"a": kvm}`, "1:7: Invalid JSON: A value is a number"},
		{"json", `{} {}`, "1:4: Invalid JSON: The document has ended before this"},
		{"json", `{"é": "\ud83d"}`, "1:8: Invalid escape: \\ud83d is one half of a surrogate pair"},
		{"json", `{"a": "\ude00\ud83d"}`, "1:8: Invalid escape"},
		{"json", "{\"a\": \"\xff\"}", "1:8: Invalid character encoding"},
		{"json", deep, "Nested too deeply"},
		{"json", strings.Repeat("[", 100) + strings.Repeat("]", 100), "1:66: Nested too deeply"},
		{"json", "{\"a\": 1e999}", "1:7: Number too large"},
	}
	for _, test := range tests {
		diags := parse(test.form, test.src)
		got := diag.OneLine(diags.Err())
		if len(diags) == 0 || !strings.Contains(got, test.want) || strings.Contains(test.want, ":") && !strings.HasPrefix(got, "t:"+test.want) {
			t.Errorf("%s %.60q: %s\nwant %s", test.form, test.src, got, test.want)
		}
	}
}

// parse returns what is wrong with a document, also with its expressions.
func parse(form, src string) diag.Diagnostics {
	var roots []*document.Node
	var diags diag.Diagnostics
	if form == "json" {
		root, more := document.ParseJSON([]byte(src), "t")
		if diags = more; root != nil {
			roots = []*document.Node{root}
		}
	} else {
		roots, diags = document.ParseYAML([]byte(src), "t")
	}
	for _, r := range roots {
		_, problems := r.Expression()
		for _, p := range problems {
			place := diag.Range{File: "t", Start: diag.Pos{Line: p.Subject.Start.Line, Column: p.Subject.Start.Column, Byte: p.Subject.Start.Byte}}
			diags = append(diags, &diag.Diagnostic{Severity: diag.Error, Summary: p.Summary, Detail: p.Detail, Range: &place})
		}
	}
	return diags
}

// TestPlacesInText finds the variable "here" where it is written, in every
// notation of a string.
func TestPlacesInText(t *testing.T) {
	for _, src := range []string{
		"a: ${here.x}",
		"a: x ${here.x} y\n",
		"a: é ${here.x}\n",
		"a: x\n   y ${here.x}\n",
		"a: 'it''s ${here.x}'\n",
		"a: \"\\t\\u00e9\\U0001F600 ${here.x}\"\n",
		"a: \"x \\\n    y ${here.x}\"\n",
		"a: \"x\n\n  y ${here.x}\"\n",
		"a: |\n  x\n    ${here.x}\n",
		"a: |2-\n   x ${here.x}\n",
		"a: | # comment\n\n  x\r\n  ${here.x}\r\n",
		"a: >\n  x\n  y\n  ${here.x}\n",
		"a: >\n  x\n\n\n  y ${here.x}\n",
		"a: &n !!str \"é ${here.x}\"\n",
		"a: &n\n  !!str # comment\n  é ${here.x}\n",
		"[{a: [\"\\x41${here.x}\"]}]",
		"\ufeffa: \"é${here.x}\"",
		"a: x\nb: \"${1 +\n  here.x}\"\n",
		"a: '${[for x in [1]: foo(here.x)]}'\n",
		`json {"a": "\t\u00e9\ud83d\ude00 ${here.x}"}`,
		"json {\"é\":\n  [\"${here.x}\"]}",
		"json {\"a\": \"%{ if here.x }\\n%{ endif }\"}",
	} {
		var root *document.Node
		var diags diag.Diagnostics
		if text, isJSON := strings.CutPrefix(src, "json "); isJSON {
			src = text
			root, diags = document.ParseJSON([]byte(src), "t")
		} else {
			var roots []*document.Node
			if roots, diags = document.ParseYAML([]byte(src), "t"); len(roots) > 0 {
				root = roots[0]
			}
		}
		if root == nil || diags != nil {
			t.Errorf("%q: %v", src, diags)
			continue
		}
		e, problems := root.Expression()
		if problems != nil {
			t.Errorf("%q: %v", src, problems)
			continue
		}
		found := false
		for _, v := range e.Variables() {
			if v.RootName() != "here" {
				continue
			}
			found = true
			checkPlace(t, src, v.SourceRange(), "here.x")
			checkPlace(t, src, v[1].(hcl.TraverseAttr).SrcRange, ".x")
		}
		if !found {
			t.Errorf("%q: the variable is lost", src)
		}
	}
}

func checkPlace(t *testing.T, src string, r hcl.Range, want string) {
	t.Helper()
	if got := src[r.Start.Byte:r.End.Byte]; got != want {
		t.Errorf("%q: the place is that of %q", src, got)
	}
	lines := strings.Split(src[:r.Start.Byte], "\n")
	column := len([]rune(strings.TrimPrefix(lines[len(lines)-1], "\ufeff"))) + 1
	if r.Start.Line != len(lines) || r.Start.Column != column {
		t.Errorf("%q: at %d:%d, want %d:%d", src, r.Start.Line, r.Start.Column, len(lines), column)
	}
}
