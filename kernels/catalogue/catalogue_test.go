package catalogue

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEntries(t *testing.T) {
	var names []string
	for _, d := range All() {
		names = append(names, d.Name)
		if d.Title == "" || len(d.Places.Images) == 0 || d.Places.Distribution != d.Name {
			t.Errorf("%+v", d)
		}
	}
	if want := []string{"alpine", "debian", "ol", "openwrt", "ubuntu"}; !slices.Equal(names, want) {
		t.Errorf("entries %q, want %q", names, want)
	}
	if d := Default(); d.Name != "debian" {
		t.Errorf("the default is %s", d)
	}
}

func TestPlaces(t *testing.T) {
	for _, tt := range []struct {
		id   string
		like []string
		want []string
	}{
		{"ubuntu", []string{"debian"}, []string{"ubuntu"}},
		{"linuxmint", []string{"ubuntu", "debian"}, []string{"ubuntu"}},
		{"ol", []string{"fedora"}, []string{"ol"}},
		{"lede", nil, []string{"openwrt"}},
		{"fedora", nil, []string{"alpine", "debian", "ol", "openwrt", "ubuntu"}},
		{"", nil, []string{"alpine", "debian", "ol", "openwrt", "ubuntu"}},
	} {
		var got []string
		for _, p := range Places(tt.id, tt.like) {
			got = append(got, p.Distribution)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s %q: %q, want %q", tt.id, tt.like, got, tt.want)
		}
	}
}

var expected = regexp.MustCompile(`# ERROR: (.*)`)

// TestMistakes has the expected summary beside each bad line.
func TestMistakes(t *testing.T) {
	source, err := os.ReadFile("testdata/mistakes.hcl")
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{}
	for i, line := range strings.Split(string(source), "\n") {
		if m := expected.FindStringSubmatch(line); m != nil {
			want[i+1] = m[1]
		}
	}
	_, diags := Parse(fstest.MapFS{"mistakes.hcl": {Data: source}})
	for _, d := range diags {
		if d.Range == nil || d.Snippet == nil || want[d.Range.Start.Line] != d.Summary {
			t.Errorf("unexpected: %s", d.Text())
			continue
		}
		delete(want, d.Range.Start.Line)
	}
	for line, summary := range want {
		t.Errorf("line %d gives no error %q", line, summary)
	}
}

func TestParseErrors(t *testing.T) {
	const one = `distribution "x" {
  title   = "X"
  ids     = ["x"]
  kernels = ["/vmlinuz"]
  modules = ["/lib/modules"]
  formats = [".ko"]
}
`
	for name, tt := range map[string]struct {
		files fstest.MapFS
		says  string
	}{
		"an empty folder":  {fstest.MapFS{}, "no *.hcl"},
		"no default":       {fstest.MapFS{"x.hcl": {Data: []byte(one)}}, "here 0 have it"},
		"not HCL":          {fstest.MapFS{"x.hcl": {Data: []byte("distribution {")}}, "x.hcl line 1"},
		"a missing value":  {fstest.MapFS{"x.hcl": {Data: []byte("distribution \"x\" {\n}\n")}}, `argument "title" is required`},
		"an unknown value": {fstest.MapFS{"x.hcl": {Data: []byte(strings.Replace(one, "{", "{\n colour = 1", 1))}}, "colour"},
		"the name twice":   {fstest.MapFS{"a.hcl": {Data: []byte(one)}, "b.hcl": {Data: []byte(one)}}, "Duplicate distribution"},
	} {
		if _, diags := Parse(tt.files); !strings.Contains(diags.Error(), tt.says) {
			t.Errorf("%s: %s", name, diags.Error())
		}
	}
}

func FuzzParse(f *testing.F) {
	source, err := os.ReadFile("testdata/mistakes.hcl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(source))
	f.Fuzz(func(_ *testing.T, source string) {
		_, diags := Parse(fstest.MapFS{"x.hcl": {Data: []byte(source)}})
		_ = diags.Error()
	})
}
