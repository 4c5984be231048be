package schema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBlockDocsAreTheParsers compares with the names that the parser knows.
func TestBlockDocsAreTheParsers(t *testing.T) {
	attributes := func(f []FieldDoc) (names []string) {
		for _, a := range f {
			names = append(names, a.Name)
			if a.Doc == "" || a.Type == "" {
				t.Errorf("%s is not described", a.Name)
			}
		}
		return names
	}
	blocks := func(f []BlockDoc) (names []string) {
		for _, b := range f {
			names = append(names, b.Block)
			if b.Doc == "" {
				t.Errorf("%s is not described", b.Block)
			}
		}
		return names
	}
	tests := map[string]struct{ doc, parser []string }{
		"file":               {blocks(BlockDocs()), fileBlocks},
		"profile":            {attributes(profileDoc.Attributes), headers},
		"patch":              {attributes(patchDoc.Attributes), patchHeaders},
		"policy":             {attributes(policyDoc.Attributes), policyAttributes},
		"blocks of a policy": {blocks(policyDoc.Blocks), policyBlocks},
		"label":              {attributes(grantDoc), grantAttributes},
		"limit":              {attributes(policyDoc.Blocks[2].Attributes), limitAttributes},
		"variable":           {attributes(variableDoc.Attributes), variableAttributes},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.parser, test.doc); diff != "" {
			t.Errorf("%s (-parser +doc):\n%s", name, diff)
		}
	}
}
