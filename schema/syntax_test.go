package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// TestSyntaxErrors wants the first diagnostic of files whose form is wrong.
func TestSyntaxErrors(t *testing.T) {
	doubled := "locals {\n a0 = \"0123456789\"\n"
	for i := range 40 {
		doubled += fmt.Sprintf(" a%d = \"${local.a%d}${local.a%d}\"\n", i+1, i, i)
	}
	doubled += "}\nprofile \"p\" {\n machine {\n accel = local.a40\n }\n}\n"
	tests := []struct{ name, src, want string }{
		{"f.hcl", "profile \"a\" {", "f.hcl:1:13: Unclosed configuration block"},
		{"f.hcl", "profile \"a\" { machine { cpus = } }", "f.hcl:1:"},
		{"f.hcl", "}", "f.hcl:1:1: Argument or block definition required"},
		{"f.hcl", "profile \"a\" {\n machine {\n cpus = 1\n cpus = 2\n }\n}\n", "f.hcl:4:2: Attribute redefined"},
		{"f.hcl", "\x00", "f.hcl:1:1: "},
		{"f.hcl", "profile \"a\" {\n machine { cpus = \"${\" }\n}", "f.hcl:"},
		{"f.hcl", "x = " + strings.Repeat("[", 100000), "Nested too deeply"},
		{"f.hcl", "x = " + strings.Repeat("!", 100000) + "true", "Nested too deeply"},
		{"f.hcl", "x = 1" + strings.Repeat(" + 1", 100000), "Nested too deeply"},
		{"f.hcl", "x = a" + strings.Repeat(" ? 1 : a", 100000), "Nested too deeply"},
		{"f.hcl", strings.Repeat("x {\n", 100000), "Nested too deeply"},
		{"f.hcl", "x = \"" + strings.Repeat("%{if true}", 50000), "Nested too deeply"},
		{"f.hcl", "x = [for a in [1]: {\n for b in [1]: b => b }]", "f.hcl:2:2: Nested too deeply"},
		{"f.hcl", doubled, "Value too large: local.a11 has more than 16384 bytes"},
		{"f.yaml", "locals: {a: '${replace(\"" + strings.Repeat("x", 1000) + "\", \"x\", \"" + strings.Repeat("y", 1000) + "\")}'}\nprofile: {p: {machine: {accel: \"${local.a}\"}}}", "Error in function call: Call to function \"replace\" failed: the result has more than 16384 bytes."},
		{"f.hcl", "locals {\n a = join(\"" + strings.Repeat("x", 1000) + "\", split(\"\", \"" + strings.Repeat("y", 1000) + "\"))\n}\nprofile \"p\" {\n machine {\n accel = local.a\n }\n}\n", "Call to function \"join\" failed: the result has more than"},
		{"f.hcl", "x = 1e999999999\n", "f.hcl:1:5: Number too large"},
		{"f.hcl", strings.Repeat("#\n", 600000), "f.hcl: Document too large"},
		{"f.hcl", "\xff\xfex\x00", "f.hcl:1:1: Invalid character encoding: The document is in UTF-16"},
		{"f.yaml", "locals: {x: '${" + strings.Repeat("(", 100000) + "'}", "Nested too deeply"},
		{"f.json", "{\"locals\": {\"x\": \"${" + strings.Repeat("-", 100000) + "\"}}", "Nested too deeply"},
		{"f.yaml", "profile: {a: {machine: {cpus: \"\\x41${1e999}\"}}}", "f.yaml:1:38: Number too large"},
		{"f.yaml", "profile: {a: {machine: {cpus: \"é${1 +}\"}}}", "f.yaml:1:38: Invalid expression"},
		{"f.json", "{\"profile\": {\"a\": {\"machine\": {\"cpus\": \"\\u00e9${1 +}\"}}}}", "f.json:1:52: Invalid expression"},
		{"f.yaml", "- profile\n", "f.yaml:1:1: Not a mapping"},
		{"f.json", "[]", "f.json:1:1: Not a mapping: A file of profiles in JSON is a mapping, and this is a list. Write \"profile\": {\"name\": {...}}."},
		{"f.yaml", "profile \"web\" {\n}\n", "f.yaml:1:1: Not a mapping: A file of profiles in YAML is a mapping, and this is text. Write profile: {name: {...}}. This looks like HCL"},
		{"f.yaml", "profile:\n  web:\n    machine: [cpus]\n", "f.yaml:3:5: Unsupported attribute"},
		{"f.yaml", "profile: [web]\n", "f.yaml:1:1: Unsupported attribute: \"profile\" is a block: write profile: {name: {...}}."},
		{"f.toml", "", "f.toml: Unknown form"},
	}
	for _, test := range tests {
		got := ""
		if diags := everything([]byte(test.src), test.name); len(diags) > 0 {
			got = diag.OneLine(diags[:1])
		}
		if !strings.Contains(got, test.want) || strings.HasPrefix(test.want, "f.") && !strings.HasPrefix(got, test.want) {
			t.Errorf("%s %.60q: %.300s\nwant %s", test.name, test.src, got, test.want)
		}
	}
}

// TestAllAtOnce reports what is wrong below a mistake of the document's own.
func TestAllAtOnce(t *testing.T) {
	const src = "profile:\n  a:\n    machine: {cpus: 1, cpus: 2, memory: 512}\n    kernel: {version: !x 1}\n    agnt: {}\n"
	var got []string
	for _, d := range everything([]byte(src), "f.yaml") {
		got = append(got, d.Summary)
	}
	if want := "Duplicate key, Unsupported tag, Unsupported block, Size without a unit"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestByteOrderMark(t *testing.T) {
	for name, src := range map[string]string{
		"f.hcl":  "\ufeffprofile \"a\" {\r\n  machine {\r\n    cpus = 300\r\n  }\r\n}\r\n",
		"f.yaml": "\ufeffprofile:\r\n  a:\r\n    machine: { cpus: 300 }\r\n",
		"f.json": "\ufeff{\"profile\":\r\n {\"a\":\r\n {\"machine\":    {\"cpus\":300}}}}\r\n",
	} {
		diags := everything([]byte(src), name)
		if len(diags) != 1 || diags[0].Summary != "Value out of range" || diags[0].Range.Start.Line != 3 || src[diags[0].Range.Start.Byte:diags[0].Range.End.Byte] != "300" {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestFormOf(t *testing.T) {
	for name, want := range map[string]schema.Form{
		"a.hcl": schema.HCL, "/x/a.yaml": schema.YAML, "a.b.yml": schema.YAML, "a.json": schema.JSON, "a.yaml~": "", "hcl": "", "a.HCL": "",
	} {
		if got := schema.FormOf(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
