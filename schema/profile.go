// Package schema is the profile language: its table of attributes, the reading
// of HCL, and the typed profile that comes out. It does no I/O.
package schema

import (
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema/units"
)

// Profile is a resolved profile: a value for each attribute, and where it came
// from. Read it with the keys: MachineCPUs.Of(p).
type Profile struct {
	// Names are the merged profiles in their order, the last one the strongest.
	Names []string
	// Patches are those that changed it, in the order in which they were applied.
	Patches []plan.Patch
	// Warnings say where it is not what was asked for.
	Warnings []plan.Warning

	values  []any
	origins []plan.Origin
	uses    [][]string
	base    []any // what a null gives back
}

// NewProfile returns a profile that sets nothing.
func NewProfile() *Profile {
	return &Profile{
		values:  make([]any, len(table)),
		origins: make([]plan.Origin, len(table)),
		uses:    make([][]string, len(table)),
	}
}

// Setting is a value that a source gives to an attribute.
type Setting struct {
	Attribute *Attribute
	Value     any // of the key's Go type
	Origin    plan.Origin
	// Place is where the value stands in its file; only its File is set when there
	// is none, for what a variable sets.
	Place diag.Range
	// Uses lists the variables that the value was made from: "container.cpus".
	Uses []string
}

// Set gives an attribute a value; the one that it had is remembered as
// overridden. Without a value the attribute gets back the one that it had at
// Rebase, as if nobody had set it since.
func (p *Profile) Set(s Setting) {
	i := s.Attribute.index
	if p.values[i] != nil {
		old := p.origins[i]
		lost := old.Overrode
		old.Overrode = nil
		s.Origin.Overrode = append([]plan.Origin{old}, lost...)
	}
	if s.Value == nil && p.base != nil && p.base[i] != nil {
		s.Value = p.base[i]
		s.Origin.Value += " (" + s.Attribute.render(s.Value) + ")"
	}
	p.values[i], p.origins[i], p.uses[i] = s.Value, s.Origin, s.Uses
}

// Rebase makes the present values those that a null gives back: the built-in
// ones.
func (p *Profile) Rebase() { p.base = slices.Clone(p.values) }

// Value returns an attribute's value, nil when it is not set.
func (p *Profile) Value(a *Attribute) any { return p.values[a.index] }

// Uses lists the variables that the attribute's value was made from.
func (p *Profile) Uses(a *Attribute) []string { return p.uses[a.index] }

// Origin returns where the attribute's value came from.
func (p *Profile) Origin(a *Attribute) plan.Origin { return p.origins[a.index] }

// Origins returns the origin of each attribute that is set, by path.
func (p *Profile) Origins() map[string]plan.Origin {
	all := make(map[string]plan.Origin, len(table))
	for i, a := range table {
		if p.values[i] != nil {
			all[a.Path()] = p.origins[i]
		}
	}
	return all
}

// object returns the values that an expression mentions, as profile.BLOCK.NAME.
func (p *Profile) object(e hclsyntax.Expression) cty.Value {
	blocks := map[string]map[string]cty.Value{}
	for _, t := range e.Variables() {
		if t.RootName() != rootProfile || len(t) < 3 {
			continue
		}
		block, _ := t[1].(hcl.TraverseAttr)
		name, _ := t[2].(hcl.TraverseAttr)
		a := find(block.Name, name.Name)
		if a == nil {
			continue
		}
		if blocks[a.Block] == nil {
			blocks[a.Block] = map[string]cty.Value{}
		}
		blocks[a.Block][a.Name] = ctyValue(p.values[a.index])
	}
	values := make(map[string]cty.Value, len(blocks))
	for name, b := range blocks {
		values[name] = cty.ObjectVal(b)
	}
	return object(values)
}

// ctyValue is the inverse of Attribute.decode.
func ctyValue(v any) cty.Value {
	switch v := v.(type) {
	case int:
		return cty.NumberIntVal(int64(v))
	case string:
		return cty.StringVal(v)
	case units.Bytes:
		return cty.StringVal(v.String())
	case time.Duration:
		return cty.StringVal(v.String())
	case []string:
		if len(v) == 0 {
			return cty.ListValEmpty(cty.String)
		}
		list := make([]cty.Value, len(v))
		for i, s := range v {
			list[i] = cty.StringVal(s)
		}
		return cty.ListVal(list)
	default:
		return cty.NullVal(cty.DynamicPseudoType)
	}
}

// Clone returns a copy that later settings do not change.
func (p *Profile) Clone() *Profile {
	c := *p
	c.Names, c.Patches, c.Warnings = slices.Clone(p.Names), slices.Clone(p.Patches), slices.Clone(p.Warnings)
	c.values, c.origins, c.uses = slices.Clone(p.values), slices.Clone(p.origins), slices.Clone(p.uses)
	return &c
}
