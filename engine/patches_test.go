package engine_test

import (
	"io/fs"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/patches"
)

// TestPatchesHaveCases wants of each built-in patch a golden case in which it
// applies and one in which it does not, and a place where its cause is told.
func TestPatchesHaveCases(t *testing.T) {
	applied, plans := map[string]int{}, 0
	byName := map[string]plan.Patch{}
	for _, c := range goldenCases(t) {
		out, err := compileCase(c.config, c.facts, c.files)
		if err != nil {
			continue
		}
		plans++
		for _, p := range out.plan.Patches {
			applied[p.Name]++
			byName[p.Name] = p
		}
	}
	names, err := fs.Glob(patches.FS, "*.hcl")
	if err != nil || len(names) == 0 {
		t.Fatalf("no patches: %v", err)
	}
	for _, name := range names {
		src, err := fs.ReadFile(patches.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			patch := block.Labels[0]
			if n := applied[patch]; n == 0 || n == plans {
				t.Errorf("%s applies in %d of %d golden cases", patch, n, plans)
			}
			if byName[patch].Upstream == "" {
				t.Errorf("%s does not say where its cause is documented", patch)
			}
		}
	}
}
