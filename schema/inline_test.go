package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

func TestIsDocument(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "web": false, " web,\n gpu-2 , a.b_c": false,
		"machine { cpus = 2 }": true, "machine: {cpus: 2}": true, `{"machine": {}}`: true, "web: 1": true, "we!b": true, "a/b": true,
	} {
		if got := schema.IsDocument(text); got != want {
			t.Errorf("%q is a document: %t, want %t", text, got, want)
		}
	}
}

// TestInline wants the names and the CPUs of what is declared, or a diagnostic.
func TestInline(t *testing.T) {
	tests := []struct{ src, want string }{
		{"machine { cpus = 2 }", "inline=2"},
		{"# a comment\n\nmachine {\n cpus = 2\n}\n", "inline=2"},
		{"// a comment\nmachine {\n cpus = 2\n}\n", "inline=2"},
		{"inherits = [\"a\"]\nmachine {\n cpus = 2\n}\n", "inline=2"},
		{"\ufeffmachine { cpus = 2 }", "inline=2"},
		{"profile \"web\" {\n machine {\n cpus = 2\n }\n}\nprofile other {}\n", "web=2 other=<nil>"},
		{"variable \"n\" {\n type = \"number\"\n default = 3\n}\nprofile \"web\" {\n machine {\n cpus = var.n\n }\n}\n", "web=3"},
		{"machine: {cpus: 2}", "inline=2"},
		{"# a comment\r\nmachine:\r\n  cpus: 2\r\n", "inline=2"},
		{"\"machine\":\n  cpus: 2\n", "inline=2"},
		{"---\nmachine: {cpus: 2}\n", "inline=2"},
		{"profile: {web: {machine: {cpus: 2}}, other: }", "web=2 other=<nil>"},
		{"profile:\n  web:\n    machine: {cpus: 2}\n---\nprofile: {other: {}}\n", "web=2 other=<nil>"},
		{`{"machine": {"cpus": 2}}`, "inline=2"},
		{"\n {\"profile\": {\"web\": {\"machine\": {\"cpus\": 2}}}}", "web=2"},
		{"machine: {cpus: 2}\n---\nkernel: {}\n", "here:3:1: Second profile without a name"},
		{"machine { cpus = 0 }", `here:1:18: Value out of range`},
		{"machine: {cpus: 0}", `here:1:17: Value out of range`},
		{`{"machine": {"cpus": 0}}`, `here:1:22: Value out of range`},
		{"machin { cpus = 2 }", `here:1:1: Unsupported block: A profile has no block "machin". Did you mean "machine"?`},
		{"machin: {cpus: 2}", `here:1:1: Unsupported block: A profile has no block "machin". Did you mean "machine"?`},
		{"profile \"web\" {}\nmachine {}\n", "here:2:1: Unsupported block"},
		{"profile: {web: {}}\nmachine: {}\n", "here:2:1: Unsupported block"},
		{"{machine: {cpus: 2}}", "here:1:2: Invalid JSON: A name is text in double quotes"},
		{"web gpu!", "here:1:1: Unknown form: An inline profile is in HCL, as in machine { cpus = 2 }, in YAML"},
		{"# c\n  ???", "here:2:3: Unknown form"},
		{"- machine\n", "here:1:1: Unknown form"},
		{"---\n- machine\n", "here:2:1: Not a mapping"},
		{"---\nmachine { cpus = 2 }\n", "here:2:1: Not a mapping: A file of profiles in YAML is a mapping, and this is text. Write profile: {name: {...}}. This looks like HCL"},
		{strings.Repeat(" ", schema.MaxInline+1), "Document too large: An inline profile has at most 65536 bytes"},
		{"a = \"\xff\"", "here:1:6: Invalid character encoding"},
	}
	for _, test := range tests {
		file, diags := schema.ParseInline([]byte(test.src), "here", "label")
		_, more := schema.Link(file)
		diags = append(diags, more...)
		var got []string
		for _, d := range file.Profiles {
			settings, more := d.Evaluate(schema.NewScope(schema.Variables{}))
			diags = append(diags, more...)
			p := schema.NewProfile()
			for _, s := range settings {
				p.Set(s)
				if s.Origin.Kind != "label" {
					t.Errorf("%q: the origin is a %s", test.src, s.Origin.Kind)
				}
			}
			got = append(got, fmt.Sprintf("%s=%v", d.Name, p.Value(schema.MachineCPUs.Attribute)))
		}
		have := strings.Join(got, " ")
		if diags.HasErrors() {
			have = diag.OneLine(diags)
		}
		if have != test.want && (!diags.HasErrors() || !strings.Contains(have, test.want)) {
			t.Errorf("%.80q: %s\nwant %s", test.src, have, test.want)
		}
	}
}
