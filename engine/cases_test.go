package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// TestEveryAttributeHasACase wants a golden case in which a profile sets the
// attribute, and one for each environment variable.
func TestEveryAttributeHasACase(t *testing.T) {
	set, variables := map[string]bool{}, map[string]bool{}
	for _, c := range append(goldenCases(t), kernelCases(t)...) {
		compiled, err := compileCase(c.config, c.facts, c.files)
		if err != nil {
			continue // a case of a mistake shows no plan
		}
		for path, o := range compiled.plan.Origins {
			for _, origin := range append([]plan.Origin{o}, o.Overrode...) {
				if slices.Contains([]string{"file", "label"}, origin.Kind) {
					set[rowPath(path)] = true
				}
				if origin.Kind == "variable" {
					variables[origin.Where] = true
				}
			}
		}
	}
	for _, a := range schema.Attributes() {
		if !set[a.Path()] {
			t.Errorf("no golden case has a profile that sets %s", a.Path())
		}
	}
	for _, name := range schema.VariableNames() {
		if !variables[name] {
			t.Errorf("no golden case has the variable %s", name)
		}
	}
}

// rowPath drops the label of a labelled block: "disk.data.size" is "disk.size".
func rowPath(path string) string {
	parts := strings.Split(path, ".")
	return parts[0] + "." + parts[len(parts)-1]
}
