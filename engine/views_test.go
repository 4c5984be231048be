package engine_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/plan/diff"
	"github.com/runcvm/runcvm/engine/plan/view"
)

// TestViews runs each testdata/views/*.txtar, whose inputs are those of a golden
// case: one plan is shown, or, where inputs stand in before/ and after/, how
// the two plans differ.
func TestViews(t *testing.T) {
	cases, err := filepath.Glob("testdata/views/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			want := readFile(t, name)
			in := txtar.Parse(want)
			all := in.Files
			in.Files = nil
			for _, f := range all {
				if !strings.HasPrefix(f.Name, "out/") {
					in.Files = append(in.Files, f)
				}
			}
			got := txtar.Format(&txtar.Archive{Comment: in.Comment, Files: append(in.Files, shown(t, in)...)})
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("differs from %s (-want +got; go test ./engine -update rewrites):\n%s", name, d)
			}
		})
	}
}

// shown is what the views make of a case.
func shown(t *testing.T, in *txtar.Archive) []txtar.File {
	t.Helper()
	var text, document bytes.Buffer
	human, machine := view.New("text", &text, view.Options{}), view.New("json", &document, view.Options{})
	before, after := side(in, "before/"), side(in, "after/")
	if len(before.Files)+len(after.Files) == 0 {
		if err := human.Plan(compiledPlan(t, in), []string{"Something was assumed."}); err != nil {
			t.Fatal(err)
		}
		return []txtar.File{{Name: "out/text", Data: text.Bytes()}}
	}
	c := &view.Comparison{
		Before: view.Side{Name: "the running machine", Plan: compiledPlan(t, before)},
		After:  view.Side{Name: "the container web as it would start now", Plan: compiledPlan(t, after)},
	}
	var err error
	if c.Changes, err = diff.Diff(c.Before.Plan, c.After.Plan); err != nil {
		t.Fatal(err)
	}
	for _, v := range []view.View{human, machine} {
		if err := v.Comparison(c); err != nil {
			t.Fatal(err)
		}
	}
	return []txtar.File{{Name: "out/text", Data: text.Bytes()}, {Name: "out/json", Data: indent(t, document.Bytes())}}
}

func side(in *txtar.Archive, prefix string) *txtar.Archive {
	out := new(txtar.Archive)
	for _, f := range in.Files {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok {
			out.Files = append(out.Files, txtar.File{Name: name, Data: f.Data})
		}
	}
	return out
}

// compiledPlan is the plan of a golden case's inputs.
func compiledPlan(t *testing.T, in *txtar.Archive) *plan.Plan {
	t.Helper()
	c := goldenCase{archive: in}
	if err := c.readInputs("testdata"); err != nil {
		t.Fatal(err)
	}
	out, err := compileCase(c.config, c.facts, c.files)
	if err != nil {
		t.Fatalf("the case does not compile:\n%v", err)
	}
	return out.plan
}

// TestDiffOfAllGoldenPlans compares the plans of all golden cases, each with
// each: nothing that differs goes unsaid, and each change has its reason.
func TestDiffOfAllGoldenPlans(t *testing.T) {
	var plans []*plan.Plan
	for _, c := range goldenCases(t) {
		if out, err := compileCase(c.config, c.facts, c.files); err == nil {
			plans = append(plans, out.plan)
		}
	}
	for _, a := range plans {
		for _, b := range plans {
			changes, err := diff.Diff(a, b)
			if err != nil {
				t.Fatal(err)
			}
			if same := reflect.DeepEqual(asTree(t, a), asTree(t, b)); same != (len(changes) == 0) {
				t.Errorf("%s and %s: equal is %v, with %d changes", a.Digest, b.Digest, same, len(changes))
			}
			checkChanges(t, changes)
		}
	}
}

func asTree(t *testing.T, p *plan.Plan) (tree map[string]any) {
	t.Helper()
	data, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(data, &tree)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func checkChanges(t *testing.T, changes []diff.Change) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range changes {
		known[c.Path] = true
	}
	for _, c := range changes {
		if c.Cause == "" || c.Class == "" || c.Kind == "" || reflect.DeepEqual(c.Old, c.New) && c.Kind != diff.Attribute {
			t.Errorf("an incomplete change: %+v", c)
		}
		for _, b := range c.Because {
			if !known[b] {
				t.Errorf("%s follows from %s, which has not changed", c.Path, b)
			}
		}
	}
}
