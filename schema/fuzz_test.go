package schema_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// addSeeds gives a fuzzer the fixtures in one form, and more.
func addSeeds(f *testing.F, pattern string, more ...string) {
	f.Helper()
	names, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds like %s: %v", pattern, err)
	}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	for _, src := range more {
		f.Add(src)
	}
}

// checkParsed goes all the way with a parsed file: nothing panics, and every
// diagnostic has a place inside of the text.
func checkParsed(t *testing.T, src string, file *schema.File, diags diag.Diagnostics) {
	t.Helper()
	_, more := schema.Link(file)
	diags = append(diags, more...)
	scope, profile := schema.NewScope(schema.Variables{}), schema.NewProfile()
	for _, d := range file.Profiles {
		settings, more := d.Evaluate(scope)
		diags = append(diags, more...)
		for _, s := range settings {
			profile.Set(s)
		}
	}
	for _, p := range file.Patches {
		_, more := p.Applies(scope, profile)
		diags = append(diags, more...)
		_, more = p.Evaluate(scope, profile)
		diags = append(diags, more...)
	}
	for _, p := range file.Policies {
		for _, l := range p.Limits {
			_, _, more := p.Bounds(l, scope)
			diags = append(diags, more...)
		}
	}
	for _, d := range append(diags, scope.Diagnostics()...) {
		if d.Summary == "" || d.Range == nil {
			t.Fatalf("incomplete: %s", d.Text())
		}
		r := d.Range
		if r.Start.Byte < 0 || r.End.Byte > len(src) || r.Start.Byte > r.End.Byte || len(src) <= schema.MaxInline && (r.Start.Line < 1 || r.Start.Column < 1) {
			t.Fatalf("the place %+v is not in the %d bytes of the text: %s", *r, len(src), d.Text())
		}
	}
}

func FuzzParseHCL(f *testing.F) {
	addSeeds(f, "*.hcl", "profile \"a\" {\n machine {\n cpus = [for x in [1]: x][0]\n }\n}\n", "\ufeffprofile \"é\" {}\r\n", "a = <<E\n${x}\nE\n")
	f.Fuzz(func(t *testing.T, src string) {
		file, diags := schema.ParseHCL([]byte(src), "f.hcl", "file")
		checkParsed(t, src, file, diags)
	})
}

func FuzzParseYAML(f *testing.F) {
	addSeeds(f, "*.yaml", "a: &a [*a]\n", "profile: {a: {<<: &x {machine: {cpus: \"\\x41${var.é}\"}}}}\n---\n? - a\n: |2+\n   x\n", "\ufeffé: >-\r\n x\r\n\r\n ${y}\r\n", "%TAG ! !x\n--- !y\n'a': !!int 0x1f #\n")
	f.Fuzz(func(t *testing.T, src string) {
		file, diags := schema.ParseYAML([]byte(src), "f.yaml", "file")
		checkParsed(t, src, file, diags)
	})
}

func FuzzParseJSON(f *testing.F) {
	addSeeds(f, "*.json", `{"profile": {"a": {"machine": {"cpus": "\ud83d\ude00${x}\ud83d", "cpus": 1e99}}}}`, `[{"":[]}]`, "\ufeff{}")
	f.Fuzz(func(t *testing.T, src string) {
		file, diags := schema.ParseJSON([]byte(src), "f.json", "file")
		checkParsed(t, src, file, diags)
	})
}

func FuzzParseInline(f *testing.F) {
	addSeeds(f, "everything.*", "machine { cpus = 2 }", "machine: {cpus: 2}", `{"machine": {"cpus": 2}}`, "web, gpu", "web!", "# c\n// d\ninherits = [\"a\"]", "---\ninherits: [a]\n---\nmachine:\n")
	f.Fuzz(func(t *testing.T, src string) {
		schema.IsDocument(src)
		file, diags := schema.ParseInline([]byte(src), "label", "label")
		checkParsed(t, src, file, diags)
	})
}
