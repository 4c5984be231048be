package schema

import (
	"slices"
	"sync"
)

// shape is what a place of a file can hold. HCL tells blocks from attributes by
// its syntax; YAML and JSON have mappings for both, and are told by this.
type shape struct {
	// labelled blocks have a name: profile "web".
	labelled bool
	blocks   map[string]*shape
	// attributes are the known ones; with open, there may be any.
	attributes []string
	open       bool
}

// fileShape is the shape of a file.
var fileShape = sync.OnceValue(func() *shape {
	attributesOfBlocks := map[string]*shape{}
	for _, name := range blocks() {
		attributesOfBlocks[name] = &shape{labelled: isLabelled(name), attributes: attributesOf(name)}
	}
	file := &shape{blocks: map[string]*shape{
		blockProfile: {labelled: true, attributes: headers, blocks: attributesOfBlocks},
		blockPatch: {labelled: true, attributes: patchHeaders, blocks: map[string]*shape{
			blockSet: {blocks: attributesOfBlocks},
		}},
		blockPolicy: {labelled: true, attributes: policyAttributes, blocks: map[string]*shape{
			blockLabel:    {attributes: grantAttributes},
			blockVariable: {attributes: grantAttributes},
			blockLimit:    {labelled: true, attributes: limitAttributes},
		}},
		blockVariable: {labelled: true, attributes: variableAttributes},
		blockLocals:   {open: true},
	}}
	return file
})

// has says whether an attribute of the name may stand here.
func (s *shape) has(attribute string) bool {
	return s.open || slices.Contains(s.attributes, attribute)
}
