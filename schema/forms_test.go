package schema_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// samples are values of each type as HCL, YAML and JSON all write them.
var samples = map[schema.Type][]string{
	schema.TypeInt:      {"2", "1", "64", "1024"},
	schema.TypeBytes:    {`"1G"`},
	schema.TypeDuration: {`"60s"`},
	schema.TypeStrings:  {`["one", "two=\"2\""]`, `["one"]`},
	schema.TypeString:   {`"sample"`, `"eth0"`, `"1.2.3.4"`, `"/sample"`},
	"bool":              {"true"},
}

// sampleOf finds a value that the attribute takes.
func sampleOf(t *testing.T, a *schema.Attribute) string {
	t.Helper()
	candidates := samples[a.Type]
	for rule := range strings.SplitSeq(a.Rules, ",") {
		if list, ok := strings.CutPrefix(rule, "oneof="); ok {
			candidates = []string{strconv.Quote(strings.Fields(list)[0])}
			if a.Type == schema.TypeStrings {
				candidates[0] = "[" + candidates[0] + "]"
			}
		}
	}
	for _, c := range candidates {
		if _, diags := evaluateAs(t, written(a, c)[0], "sample.hcl", schema.Variables{}); !diags.HasErrors() {
			return c
		}
	}
	t.Fatalf("no sample is a value of %s: add one for the type %q", a.Path(), a.Type)
	return ""
}

// written is a profile with one attribute in HCL, YAML and JSON.
func written(a *schema.Attribute, value string) [3]string {
	if a.Label != "" {
		return [3]string{
			fmt.Sprintf("profile \"p\" {\n  %s %q {\n    %s = %s\n  }\n}\n", a.Block, a.Label, a.Name, value),
			fmt.Sprintf("profile:\n  p:\n    %s:\n      %s:\n        %s: %s\n", a.Block, a.Label, a.Name, value),
			fmt.Sprintf("{\"profile\": {\"p\":\n  {%q: {%q: {\n    %q: %s\n  }}}\n}}\n", a.Block, a.Label, a.Name, value),
		}
	}
	return [3]string{
		fmt.Sprintf("profile \"p\" {\n  %s {\n    %s = %s\n  }\n}\n", a.Block, a.Name, value),
		fmt.Sprintf("profile:\n  p:\n    %s:\n      %s: %s\n", a.Block, a.Name, value),
		fmt.Sprintf("{\"profile\": {\"p\":\n  {%q: {\n    %q: %s\n  }}\n}}\n", a.Block, a.Name, value),
	}
}

var names = [3]string{"test.hcl", "test.yaml", "test.json"}

func evaluateAs(t *testing.T, src, name string, v schema.Variables) (*schema.Profile, diag.Diagnostics) {
	t.Helper()
	file, diags := schema.Parse([]byte(src), name, "file")
	_, more := schema.Link(file)
	diags = append(diags, more...)
	profile, scope := schema.NewProfile(), schema.NewScope(v)
	for _, d := range file.Profiles {
		settings, more := d.Evaluate(scope)
		diags = append(diags, more...)
		for _, s := range settings {
			profile.Set(s)
		}
	}
	return profile, append(diags, scope.Diagnostics()...)
}

// TestFormsAgree writes each attribute in each form, with a value and with an
// expression, and wants the same value from the place where it is written.
func TestFormsAgree(t *testing.T) {
	cpus, memory := 3, 300*units.MiB
	v := schema.Variables{
		Container: schema.Container{CPUs: &cpus, Memory: &memory, Args: []string{"a"}},
		Image:     schema.Image{Labels: map[string]string{"x": "y"}},
	}
	for _, a := range schema.Attributes() {
		if a.Labelled() {
			a = a.In("data")
		}
		sample := sampleOf(t, a)
		for _, value := range []string{
			sample, "null",
			fmt.Sprintf(`"${try(image.labels.none, %s)}"`, strings.ReplaceAll(sample, `\"`, "-")),
		} {
			texts := written(a, value)
			if strings.Contains(value, "${") {
				for i := range texts {
					texts[i] = written(a, "@")[i]
				}
				texts[0] = strings.Replace(texts[0], "@", value, 1)
				texts[1] = strings.Replace(texts[1], "@", strings.Trim(value, `"`), 1)
				texts[2] = strings.Replace(texts[2], "@", strconv.Quote(strings.Trim(value, `"`)), 1)
				if strings.ContainsAny(value, "[") {
					texts[1] = strings.Replace(texts[1], strings.Trim(value, `"`), "'"+strings.Trim(value, `"`)+"'", 1)
				}
			}
			var first *schema.Profile
			for i, text := range texts {
				p, diags := evaluateAs(t, text, names[i], v)
				if err := diags.Err(); err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				origin := p.Origin(a)
				if where := fmt.Sprintf("%s:%s", names[i], placeOfValue(text, a.Name)); value != "null" && origin.Where != where {
					t.Errorf("%s: the value is from %s, want %s", text, origin.Where, where)
				}
				if first == nil {
					first = p
					continue
				}
				if diff := cmp.Diff(first.Value(a), p.Value(a)); diff != "" {
					t.Errorf("%s: %s has another value (-HCL +this):\n%s", text, a.Path(), diff)
				}
				if diff := cmp.Diff(first.Uses(a), p.Uses(a)); diff != "" {
					t.Errorf("%s: %s uses other variables (-HCL +this):\n%s", text, a.Path(), diff)
				}
			}
		}
	}
}

// placeOfValue is line:column of what follows an attribute's name.
func placeOfValue(text, name string) string {
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " \"")
		if rest, ok := strings.CutPrefix(trimmed, name); ok && !strings.Contains(line, "{\n") && strings.ContainsAny(rest, "=:") && !strings.HasSuffix(line, "{") && !strings.HasSuffix(line, ":") {
			value := strings.TrimLeft(rest, "\" =:")
			if strings.HasPrefix(rest[len(rest)-len(value)-1:], `"`) {
				value = `"` + value
			}
			return fmt.Sprintf("%d:%d", i+1, len(line)-len(value)+1)
		}
	}
	return "?"
}

// TestFormsOfEverything compares files that have all that the language has.
func TestFormsOfEverything(t *testing.T) {
	var first string
	for _, form := range []string{"hcl", "yaml", "json"} {
		name := "testdata/everything." + form
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got := describe(t, src, name)
		if first == "" {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%s differs from HCL (-HCL +this):\n%s", name, diff)
		}
	}
}

// TestDocumentedForms compares the examples of docs/forms.md.
func TestDocumentedForms(t *testing.T) {
	page, err := os.ReadFile("../docs/forms.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```(hcl|yaml|json)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) != 3 {
		t.Fatalf("%d examples, want 3", len(examples))
	}
	for _, e := range examples[1:] {
		if diff := cmp.Diff(describe(t, []byte(examples[0][2]), "docs.hcl"), describe(t, []byte(e[2]), "docs."+e[1])); diff != "" {
			t.Errorf("the example in %s differs (-HCL +this):\n%s", e[1], diff)
		}
	}
}

// describe writes all that a file declares, without places.
func describe(t *testing.T, src []byte, name string) string {
	t.Helper()
	cpus := 3
	file, diags := schema.Parse(src, name, "file")
	module, more := schema.Link(file)
	diags = append(diags, more...)
	scope := schema.NewScope(schema.Variables{Container: schema.Container{CPUs: &cpus}, Host: schema.Host{CPUs: 8, Memory: 16 * units.GiB, QEMU: "7.2"}})
	var b strings.Builder
	settings := func(list []schema.Setting, more diag.Diagnostics) {
		diags = append(diags, more...)
		for _, s := range list {
			fmt.Fprintf(&b, "  %s = %#v from %s\n", s.Attribute.Path(), s.Value, s.Uses)
		}
	}
	list := func(what string, references []schema.Reference) {
		if references == nil {
			return
		}
		fmt.Fprintf(&b, "  %s", what)
		for _, r := range references {
			fmt.Fprintf(&b, " %q", r.Name)
		}
		b.WriteString("\n")
	}
	profile := schema.NewProfile()
	for _, d := range file.Profiles {
		fmt.Fprintf(&b, "profile %s: %q\n", d.Name, d.Description)
		list("inherits", d.Inherits)
		values, more := d.Evaluate(scope)
		settings(values, more)
		for _, s := range values {
			profile.Set(s)
		}
	}
	for _, d := range file.Patches {
		applies, more := d.Applies(scope, profile)
		diags = append(diags, more...)
		fmt.Fprintf(&b, "patch %s: %q %q %t\n", d.Name, d.Reason, d.Upstream, applies)
		settings(d.Evaluate(scope, profile))
	}
	for _, d := range file.Policies {
		fmt.Fprintf(&b, "policy %s: %q\n", d.Name, d.Description)
		list("required", d.Required)
		list("forbidden", d.Forbidden)
		for _, g := range []*schema.Grant{d.Label, d.Variable} {
			fmt.Fprintf(&b, "  grant inline %t\n", g.Inline)
			list("allow", g.Allow)
			list("deny", g.Deny)
			list("profiles", g.Profiles)
		}
		for _, l := range d.Limits {
			low, high, more := d.Bounds(l, scope)
			diags = append(diags, more...)
			fmt.Fprintf(&b, "  limit %s %v %v %t\n", l.Attribute.Path(), low, high, l.Deny)
		}
	}
	for _, v := range module.Variables() {
		fmt.Fprintf(&b, "variable %s: %q %s %q\n", v.Name, v.Description, v.Type, v.Allowed)
	}
	if err := append(diags, scope.Diagnostics()...).Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
