package reference

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/convert"
	"github.com/runcvm/runcvm/schema/jsonschema"
)

var update = flag.Bool("update", false, "write docs/reference anew")

// TestReferenceIsCurrent compares docs/reference with what the tables say.
func TestReferenceIsCurrent(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "reference")
	pages, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the tables say: run \"make docs\" (-tables +file):\n%s", path, diff)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pages[e.Name()] == nil {
			t.Errorf("%s is in %s, and nothing writes it", e.Name(), dir)
		}
	}
}

// TestJSONSchemaTakesExamples wants that what is a valid file is one to the JSON
// Schema: the examples and the built-in files, as JSON.
func TestJSONSchemaTakesExamples(t *testing.T) {
	document, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := validator.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource(jsonschema.ID, parsed); err != nil {
		t.Fatal(err)
	}
	language := c.MustCompile(jsonschema.ID)
	var files []string
	for _, pattern := range []string{"../../examples/*/profiles/*", "../../examples/*/patches/*", "../builtin/*.hcl", "../../patches/*.hcl"} {
		found, err := filepath.Glob(pattern)
		if err != nil || found == nil {
			t.Fatalf("%s: nothing found: %v", pattern, err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out, diags := convert.Convert(src, name, schema.FormOf(name), schema.JSON)
		if err := diags.Err(); err != nil {
			t.Error(err)
			continue
		}
		var instance any
		if err := json.Unmarshal(out, &instance); err != nil {
			t.Fatal(err)
		}
		if err := language.Validate(instance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
