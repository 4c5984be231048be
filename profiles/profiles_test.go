package profiles

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

func files(named map[string]string) fs.FS {
	all := fstest.MapFS{}
	for name, text := range named {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

// resolve loads and resolves in one step.
func resolve(named map[string]string, label string) (*schema.Profile, diag.Diagnostics) {
	set, diags := LoadFS(files(named), HostDir)
	p, more := Resolve(set, asks(label), schema.Variables{})
	return p, append(diags, more...)
}

// asks is the request of an image with the label.
func asks(label string) Request {
	return Request{Image: plan.Image{Labels: map[string]string{Label: label}, EnvKnown: true}}
}

func declare(name string, cpus int, inherits ...string) string {
	list := ""
	if len(inherits) > 0 {
		list = fmt.Sprintf("inherits = [%q]", inherits[0])
		for _, i := range inherits[1:] {
			list = strings.TrimSuffix(list, "]") + fmt.Sprintf(", %q]", i)
		}
	}
	return fmt.Sprintf("profile %q {\n %s\n machine {\n cpus = %d\n }\n}\n", name, list, cpus)
}

func TestDefaultSetsEveryAttribute(t *testing.T) {
	p, diags := resolve(nil, "")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	for _, a := range schema.Attributes() {
		if p.Value(a) == nil && !a.Labelled() {
			t.Errorf("the built-in default does not set %s", a.Path())
		}
	}
}

func TestOrderOfMerge(t *testing.T) {
	host := map[string]string{
		"a.hcl": declare("a", 2, "base", "other"),
		"b.hcl": declare("b", 3, "base") + declare("other", 4),
		"c.hcl": declare("base", 5, "default"),
	}
	withDefault := map[string]string{"z.hcl": declare("default", 6, "base")}
	for name, text := range host {
		withDefault[name] = text
	}
	tests := []struct {
		host  map[string]string
		label string
		names []string
		cpus  int
	}{
		{nil, "", []string{"default"}, 1},
		{host, "", []string{"default"}, 1},
		{host, "a", []string{"default", "base", "other", "a"}, 2},
		{host, "a,b", []string{"default", "base", "other", "a", "b"}, 3},
		{host, " b , a ,, b", []string{"default", "base", "b", "other", "a"}, 2},
		{host, "default", []string{"default"}, 1},
		{withDefault, "", []string{"default", "base", "default"}, 6},
		{withDefault, "base,a", []string{"default", "base", "default", "other", "a"}, 2},
	}
	for _, test := range tests {
		p, diags := resolve(test.host, test.label)
		if err := diags.Err(); err != nil {
			t.Errorf("label %q: %v", test.label, err)
			continue
		}
		if diff := cmp.Diff(test.names, p.Names); diff != "" {
			t.Errorf("label %q (-want +got):\n%s", test.label, diff)
		}
		if got := schema.MachineCPUs.Of(p); got != test.cpus {
			t.Errorf("label %q: cpus %d, want %d", test.label, got, test.cpus)
		}
	}
}

func TestMistakes(t *testing.T) {
	tests := map[string]struct {
		host  map[string]string
		label string
		want  []string // parts of the one-line form, one for each diagnostic
	}{
		"unknown label":       {map[string]string{"w.hcl": declare("web", 1)}, "wbe", []string{`Did you mean "web"? The profiles here are "debug", "default", "desktop-vnc", "docker", "legacy", "microvm", "secure", "systemd" and "web"`}},
		"broken and not used": {map[string]string{"b.hcl": `profile "b" { nonsense = }`, "w.hcl": declare("web", 1)}, "web", []string{"b.hcl:1:26: Invalid expression", `b.hcl:1:15: Unsupported attribute`}},
		"broken and used":     {map[string]string{"b.hcl": `profile "b" { nonsense = }`}, "b", []string{"b.hcl:1:26: Invalid expression", `b.hcl:1:15: Unsupported attribute`}},
		"reported once":       {map[string]string{"b.hcl": declare("a", 1) + declare("b", 1) + "x = 1\n"}, "a,b", []string{"b.hcl:13:1: Unsupported attribute"}},
		"twice in one file":   {map[string]string{"a.hcl": declare("a", 1) + declare("a", 2)}, "a", []string{"a.hcl:7:9: Profile defined twice: The profile \"a\" is defined at /etc/runcvm/profiles/a.hcl:1:9 already."}},
		"circle of one":       {map[string]string{"a.hcl": declare("a", 1, "a")}, "a", []string{"a -> a"}},
		"circle of two":       {map[string]string{"a.hcl": declare("a", 1, "b") + declare("b", 1, "a")}, "b", []string{"b -> a -> b"}},
		"circle by default":   {map[string]string{"a.hcl": declare("default", 1, "b") + declare("b", 1, "default")}, "", nil},
		"unknown parent":      {map[string]string{"a.hcl": declare("a", 1, "bsae") + declare("base", 1)}, "a", []string{`There is no profile "bsae" to inherit. Did you mean "base"?`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, diags := resolve(test.host, test.label)
			if len(diags) != len(test.want) {
				t.Fatalf("%d diagnostics, want %d:\n%v", len(diags), len(test.want), diags)
			}
			lines := diag.OneLine(diags.Err())
			for _, want := range test.want {
				if !strings.Contains(lines, want) {
					t.Errorf("%s\nlacks %s", lines, want)
				}
			}
		})
	}
}

func TestHeadings(t *testing.T) {
	for _, heading := range []string{
		`profile "web" {`, `profile web {`, `profile"web"{`, `profile /* odd */ "web" {`, `profile "w\u0065b" {`, "/* */ profile \t\"web\" {",
	} {
		p, diags := resolve(map[string]string{"a.hcl": heading + "\n machine {\n cpus = 7\n }\n}\n"}, "web")
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", heading, err)
			continue
		}
		if got := schema.MachineCPUs.Of(p); got != 7 {
			t.Errorf("%s: cpus %d, want 7", heading, got)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, ignored := range []string{".web.hcl", "web.hcl~", "web.hcl.bak", ".web.hcl.swp", "web.hcl.rpmsave", "web.hcl.dpkg-old", "#web.hcl", "README"} {
		write(ignored, "not HCL {")
	}
	write("web.hcl", declare("web", 2))
	set, diags := Load(dir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if want, got := []string{"debug", "default", "desktop-vnc", "docker", "legacy", "microvm", "secure", "systemd", "web"}, set.names(); !slices.Equal(want, got) {
		t.Errorf("names %q, want %q", got, want)
	}

	if _, diags := Load(filepath.Join(dir, "none")); diags != nil {
		t.Errorf("a missing directory: %v", diags)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "broken.hcl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.hcl"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, diags = Load(dir)
	if got := diag.OneLine(diags.Err()); len(diags) != 2 || !strings.Contains(got, "broken.hcl cannot be read") || !strings.Contains(got, "folder.hcl cannot be read: is a directory") {
		t.Errorf("unreadable files: %s", got)
	}
}

func TestLoadReportsAllFiles(t *testing.T) {
	_, diags := LoadFS(files(map[string]string{
		"a.hcl": declare("a", 1), "b.hcl": "x = 1\n", "c.hcl": declare("a", 1), "d.hcl": "profile \"d\" {",
	}), HostDir)
	if len(diags) != 3 {
		t.Errorf("%d diagnostics, want 3:\n%v", len(diags), diags)
	}
}

// manyFiles is a host with a thousand profiles, each of which inherits the one
// before it in tens.
func manyFiles() fs.FS {
	named := map[string]string{}
	for i := range 1000 {
		parents := []string{}
		if i%10 != 0 {
			parents = append(parents, fmt.Sprintf("p%d", i-1))
		}
		named[fmt.Sprintf("p%d.hcl", i)] = declare(fmt.Sprintf("p%d", i), 1+i%8, parents...)
	}
	return files(named)
}

func BenchmarkResolveDefault(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := Resolve(new(Set), Request{}, schema.Variables{}); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// BenchmarkResolveInherited parses the files, as a container's creation does.
func BenchmarkResolveInherited(b *testing.B) {
	named := files(map[string]string{"a.hcl": declare("a", 1, "b"), "b.hcl": declare("b", 2, "c"), "c.hcl": declare("c", 3)})
	b.ReportAllocs()
	for b.Loop() {
		set, _ := LoadFS(named, HostDir)
		if _, diags := Resolve(set, asks("a"), schema.Variables{}); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// BenchmarkResolveInline parses and evaluates an image's own profile.
func BenchmarkResolveInline(b *testing.B) {
	request := asks("inherits: [debug]\nmachine:\n  cpus: 2\n  memory: '${size(bytes(\"1G\") / 2)}'\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := Resolve(new(Set), request, schema.Variables{}); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

func BenchmarkResolveOneOfThousand(b *testing.B) {
	many := manyFiles()
	b.ReportAllocs()
	for b.Loop() {
		set, _ := LoadFS(many, HostDir)
		if _, diags := Resolve(set, asks("p999"), schema.Variables{}); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// TestLoadForms loads files in all forms, which see each other's variables and
// whose names must not meet.
func TestLoadForms(t *testing.T) {
	set, diags := LoadFS(files(map[string]string{
		"a.hcl":   declare("a", 2, "b"),
		"b.yaml":  "profile: {b: {inherits: [c], kernel: {append: [\"${var.word}\"]}}}",
		"c.json":  `{"profile": {"c": {"agent": {"stop_timeout": "7s"}}}, "variable": {"word": {"default": "hello"}}}`,
		"d.yml":   "---\nprofile:\n  d: {}\n---\nprofile:\n  e: {}\n",
		"e.yaml~": "not: [a profile",
	}), HostDir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	p, diags := Resolve(set, asks("a,e"), schema.Variables{Host: schema.Host{KVM: true}})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"default", "c", "b", "a", "e"}, p.Names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := schema.KernelAppend.Of(p); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("append %q", got)
	}
	if got := p.Origin(schema.KernelAppend.Attribute).Where; got != HostDir+"/b.yaml:1:47" {
		t.Errorf("origin %s", got)
	}

	_, diags = LoadFS(files(map[string]string{
		"a.hcl": declare("a", 2), "b.yaml": "profile: {a: {}}", "c.json": `{"profile": {"a": {}}}`,
	}), HostDir)
	want := []string{
		`b.yaml:1:11: Profile defined twice: The profile "a" is defined at /etc/runcvm/profiles/a.hcl:1:9 already.`,
		`c.json:1:14: Profile defined twice: The profile "a" is defined at /etc/runcvm/profiles/a.hcl:1:9 already.`,
	}
	for i, w := range want {
		if len(diags) != len(want) || !strings.Contains(diags[i].OneLine(), w) {
			t.Errorf("%v\nlacks %s", diags, w)
		}
	}
}
