package schema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFormsAreTheParsers compares with the names that the parser knows.
func TestFormsAreTheParsers(t *testing.T) {
	attributes := func(f []FormAttribute) (names []string) {
		for _, a := range f {
			names = append(names, a.Name)
			if a.Doc == "" || a.Type == "" {
				t.Errorf("%s is not described", a.Name)
			}
		}
		return names
	}
	blocks := func(f []Form) (names []string) {
		for _, b := range f {
			names = append(names, b.Block)
			if b.Doc == "" {
				t.Errorf("%s is not described", b.Block)
			}
		}
		return names
	}
	tests := map[string]struct{ form, parser []string }{
		"file":               {blocks(Forms()), fileBlocks},
		"profile":            {attributes(profileForm.Attributes), headers},
		"patch":              {attributes(patchForm.Attributes), patchHeaders},
		"policy":             {attributes(policyForm.Attributes), policyAttributes},
		"blocks of a policy": {blocks(policyForm.Blocks), policyBlocks},
		"label":              {attributes(grantForm), grantAttributes},
		"limit":              {attributes(policyForm.Blocks[2].Attributes), limitAttributes},
		"variable":           {attributes(variableForm.Attributes), variableAttributes},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.parser, test.form); diff != "" {
			t.Errorf("%s (-parser +form):\n%s", name, diff)
		}
	}
}
