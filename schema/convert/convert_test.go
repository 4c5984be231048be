package convert

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

var update = flag.Bool("update", false, "rewrite the results in testdata")

// TestGolden converts the first file of each archive to each of the others,
// whose endings are the forms that it gets.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in := archive.Files[0]
			for i, want := range archive.Files[1:] {
				if want.Name == "warning" {
					continue
				}
				out, diags := Convert(in.Data, in.Name, schema.FormOf(in.Name), schema.FormOf(want.Name))
				if err := diags.Err(); err != nil {
					t.Errorf("to %s: %v", want.Name, err)
					continue
				}
				if *update {
					archive.Files[i+1].Data = out
				} else if diff := cmp.Diff(string(want.Data), string(out)); diff != "" {
					t.Errorf("to %s (-want +got):\n%s", want.Name, diff)
				}
				sameMeaning(t, in.Data, in.Name, out, want.Name)
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// sameMeaning wants the same declarations with the same values.
func sameMeaning(t *testing.T, a []byte, aName string, b []byte, bName string) {
	t.Helper()
	if diff := cmp.Diff(meaning(t, a, aName), meaning(t, b, bName)); diff != "" {
		t.Errorf("%s and %s differ in meaning (-first +second):\n%s", aName, bName, diff)
	}
}

func meaning(t *testing.T, src []byte, name string) []string {
	t.Helper()
	file, diags := schema.Parse(src, name, "file")
	module, more := schema.Link(file)
	if err := append(diags, more...).Err(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, src)
	}
	cpus := 3
	scope := schema.NewScope(schema.Variables{
		Container: schema.Container{CPUs: &cpus, Args: []string{"a", "b"}},
		Host:      schema.Host{CPUs: 8, Memory: 4 * units.GiB, Architecture: "amd64", QEMU: "7.2.22"},
		Image:     schema.Image{Labels: map[string]string{"size": "2G"}},
	}, schema.Input{Name: "tier", Value: "large"})
	profile := schema.NewProfile()
	out := file.Declares()
	add := func(name string, settings []schema.Setting, diags diag.Diagnostics) {
		if err := diags.Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, s := range settings {
			out = append(out, fmt.Sprintf("%s: %s = %v", name, s.Attribute.Path(), s.Value))
			profile.Set(s)
		}
	}
	for _, d := range file.Profiles {
		out = append(out, fmt.Sprintf("%s: %q inherits %v", d.Name, d.Description, names(d.Inherits)))
		settings, diags := d.Evaluate(scope)
		add(d.Name, settings, diags)
	}
	for _, d := range file.Patches {
		applies, diags := d.Applies(scope, profile)
		out = append(out, fmt.Sprintf("%s: %t %q %q", d.Name, applies, d.Reason, d.Upstream))
		settings, more := d.Evaluate(scope, profile)
		add(d.Name, settings, append(diags, more...))
	}
	for _, d := range file.Policies {
		out = append(out, fmt.Sprintf("%s: %v %v", d.Name, names(d.Required), names(d.Forbidden)))
		for _, g := range []*schema.Grant{d.Label, d.Variable} {
			if g != nil {
				out = append(out, fmt.Sprintf("%v %v %v %t", names(g.Allow), names(g.Deny), names(g.Profiles), g.Inline))
			}
		}
		for _, l := range d.Limits {
			low, high, diags := d.Bounds(l, scope)
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s: %v %v %t", l.Attribute.Path(), low, high, l.Deny))
		}
	}
	for _, v := range module.Variables() {
		out = append(out, fmt.Sprintf("%s %s %q %q", v.Name, v.Type, v.Description, v.Allowed))
	}
	if err := scope.Diagnostics().Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func names(references []schema.Reference) (list []string) {
	for _, r := range references {
		list = append(list, r.Name)
	}
	return list
}

// TestRoundTrip wants that a value survives each way of writing it.
func TestRoundTrip(t *testing.T) {
	values := []string{
		`["plain", "with \"quotes\"", "back\\slash", "tab\t", "$${x}", "%%{x}", "$x", "%x", "#", "a: b", "- x", "yes", "12", "null", "~", "é", " x ", "'", "${host.arch}", "a${host.arch}b", "a\"${host.arch}\"b"]`,
		`["${upper("x")}", upper("x"), "${1 + 1}.", "%{ if host.cpus > 4 }many%{ else }few%{ endif }"]`,
		`[for x in ["a", "b"] : "${x}=1"]`,
		`concat(["a"], # first
      ["b"])`,
		`host.cpus > 4 ? ["a"] : ["b"]`,
		`[<<E
two
E
, <<-E
      indented ${host.arch}
        more "x" \n
      E
]`,
		`(["a"])`,
		`[join("-", container.args), lookup(image.labels, "size", "1G"), image.labels["size"]]`,
		`["${"nested ${"deep ${host.arch}"}"}"]`,
		`[substr("a}b", 0, 3), "}"]`,
		`[{ a = "x", "b c" = "y" }["b c"], { (host.arch) = "z" }.amd64]`,
	}
	for _, v := range values {
		src := []byte("locals {\n  x = " + v + "\n}\n" + `profile "a" {
  kernel {
    append = [for v in local.x : replace(replace(replace(v, "\n", "NL"), "\t", "TAB"), "é", "E")]
  }
}
`)
		for _, path := range [][]schema.Form{
			{schema.YAML, schema.HCL},
			{schema.JSON, schema.HCL},
			{schema.YAML, schema.JSON, schema.HCL, schema.JSON, schema.YAML},
		} {
			out, from := src, schema.HCL
			for _, to := range path {
				next, diags := Convert(out, "a", from, to)
				if err := diags.Err(); err != nil {
					t.Fatalf("%s to %s: %v\n%s", from, to, err, out)
				}
				out, from = next, to
			}
			extension := map[schema.Form]string{schema.HCL: ".hcl", schema.YAML: ".yaml", schema.JSON: ".json"}[from]
			sameMeaning(t, src, "a.hcl", out, "a"+extension)
		}
	}
}

func TestRefused(t *testing.T) {
	out, diags := Convert([]byte("profile \"a\" {\n machine {\n cpu = 2\n }\n}\n"), "a.hcl", schema.HCL, schema.YAML)
	if out != nil || !strings.Contains(diags.Error(), `Did you mean "cpus"?`) {
		t.Errorf("%q, %v", out, diags)
	}
}

// FuzzConvert wants each valid file to be one in the other forms.
func FuzzConvert(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(string(file.Data), string(schema.FormOf(file.Name)))
		}
	}
	f.Add("profile \"a\" { # c\n kernel {\n append = [\"$${a}${host.arch}\", <<E\nb\nE\n]\n }\n}\n", "HCL")
	f.Add("profile: {a: {kernel: {append: [\"x\\n${host.arch}\", 'it''s'] # c\n}}}\n", "YAML")
	f.Add(`{"locals": {"a": [1e3, -2, null, {"b c": "%{ if true }d%{ endif }"}]}}`, "JSON")
	f.Fuzz(func(t *testing.T, src, form string) {
		from := schema.Form(form)
		if from != schema.HCL && from != schema.YAML && from != schema.JSON {
			return
		}
		if _, diags := parse([]byte(src), "a", from); diags.HasErrors() {
			return
		}
		for _, to := range []schema.Form{schema.HCL, schema.YAML, schema.JSON} {
			if _, diags := Convert([]byte(src), "a", from, to); diags.HasErrors() {
				t.Errorf("%s to %s: %v\n%s", from, to, diags, src)
			}
		}
	})
}
