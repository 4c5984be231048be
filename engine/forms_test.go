package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles"
)

// TestFormsGiveTheSamePlan writes the profiles of each golden case in YAML and
// in JSON: the plan is the same but for the places of its origins, which are in
// other files.
func TestFormsGiveTheSamePlan(t *testing.T) {
	compared := 0
	cases := goldenCases(t)
	// The built-in default sets every attribute: as the host's own it is compared
	// as a whole.
	builtin := fstest.MapFS{}
	names, err := fs.Glob(profiles.Builtin, "builtin/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		src, err := fs.ReadFile(profiles.Builtin, name)
		if err != nil {
			t.Fatal(err)
		}
		builtin["profiles/"+path.Base(name)] = &fstest.MapFile{Data: src}
	}
	cases = append(cases, goldenCase{name: "the built-in profiles", config: readFile(t, "testdata/docker.json"), facts: readFile(t, "testdata/facts.json"), files: builtin})
	for _, c := range cases {
		want, err := compileCase(c.config, c.facts, c.files)
		if err != nil {
			continue // the fixtures of schema compare mistakes
		}
		for _, extension := range []string{".yaml", ".json"} {
			files, n := rewritten(t, c.files, extension)
			if n == 0 {
				continue
			}
			compared++
			got, err := compileCase(c.config, c.facts, files)
			if err != nil {
				t.Errorf("%s in %s: %v", c.name, extension, err)
				continue
			}
			if diff := cmp.Diff(withoutPlaces(t, want.plan), withoutPlaces(t, got.plan)); diff != "" {
				t.Errorf("%s in %s has another plan (-HCL +this):\n%s", c.name, extension, diff)
			}
		}
	}
	if compared < 4 {
		t.Errorf("%d plans were compared: the golden cases have no profiles", compared)
	}
}

var placeInFile = regexp.MustCompile(`\.(hcl|yaml|json):[0-9]+:[0-9]+`)

// withoutPlaces is a plan's JSON without what differs between forms.
func withoutPlaces(t *testing.T, p *plan.Plan) string {
	t.Helper()
	encoded, err := plan.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	encoded = bytes.ReplaceAll(encoded, []byte(p.Digest), []byte("DIGEST"))
	return string(indent(t, placeInFile.ReplaceAll(encoded, []byte(".form:1:1"))))
}

// rewritten converts the HCL files of a host, and counts them.
func rewritten(t *testing.T, files fs.FS, extension string) (_ fs.FS, n int) {
	t.Helper()
	out := fstest.MapFS{}
	names, err := fs.Glob(files, "*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		src, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path.Base(name), ".") || path.Ext(name) != ".hcl" {
			out[name] = &fstest.MapFile{Data: src}
			continue
		}
		n++
		parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		w := formWriter{src: src, yaml: extension == ".yaml"}
		w.body(parsed.Body.(*hclsyntax.Body), 0)
		out[strings.TrimSuffix(name, path.Ext(name))+extension] = &fstest.MapFile{Data: w.out.Bytes()}
	}
	return out, n
}

// formWriter writes HCL in YAML or JSON.
type formWriter struct {
	src  []byte
	yaml bool
	out  bytes.Buffer
}

// body writes a body's blocks by type and label, and its attributes.
func (w *formWriter) body(b *hclsyntax.Body, depth int) {
	var keys []string
	inner := map[string]func(){}
	byLabel := map[string][]*hclsyntax.Block{}
	for _, block := range b.Blocks {
		if inner[block.Type] == nil {
			keys = append(keys, block.Type)
			inner[block.Type] = func() {
				same := byLabel[block.Type]
				if len(block.Labels) == 0 {
					w.body(same[0].Body, depth+1)
					return
				}
				var labels []string
				bodies := map[string]func(){}
				for _, named := range same {
					labels = append(labels, named.Labels[0])
					bodies[named.Labels[0]] = func() { w.body(named.Body, depth+2) }
				}
				w.mapping(labels, bodies, depth+1)
			}
		}
		byLabel[block.Type] = append(byLabel[block.Type], block)
	}
	for name, a := range b.Attributes {
		keys = append(keys, name)
		inner[name] = func() { w.out.WriteString(" " + w.value(a.Expr)) }
	}
	w.mapping(keys, inner, depth)
}

func (w *formWriter) mapping(keys []string, values map[string]func(), depth int) {
	if w.yaml && len(keys) > 0 {
		for _, key := range keys {
			fmt.Fprintf(&w.out, "\n%s%s:", strings.Repeat("  ", depth), key)
			values[key]()
		}
		return
	}
	w.out.WriteString(" {")
	for i, key := range keys {
		if i > 0 {
			w.out.WriteString(",\n")
		}
		fmt.Fprintf(&w.out, "%q:", key)
		values[key]()
	}
	w.out.WriteString("}")
}

var plainText = regexp.MustCompile(`^"[a-z][a-z0-9_./-]*"$`)

// value writes a constant as itself, and an expression as a template.
func (w *formWriter) value(e hclsyntax.Expression) string {
	if tuple, ok := e.(*hclsyntax.TupleConsExpr); ok {
		var parts []string
		for _, x := range tuple.Exprs {
			parts = append(parts, w.value(x))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		return w.quote("${" + string(e.Range().SliceBytes(w.src)) + "}")
	}
	text, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return w.quote("${" + string(e.Range().SliceBytes(w.src)) + "}")
	}
	escaped := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(string(text))
	if w.yaml && plainText.MatchString(escaped) && escaped != `"null"` && escaped != `"true"` && escaped != `"false"` {
		return strings.Trim(escaped, `"`)
	}
	return escaped
}

func (w *formWriter) quote(text string) string {
	if w.yaml {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}
