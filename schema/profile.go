// Package schema is the profile language: its table of attributes, the reading
// of HCL, and the typed profile that comes out. It does no I/O.
package schema

import (
	"cmp"
	"maps"
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

	entries []entry               // by the row's index
	named   map[*Attribute]*entry // of labelled blocks
	base    []any                 // what a null gives back, by the row's index
	most    map[*Attribute]int    // by row, see Most
}

// entry is an attribute's value, nil when it is not set.
type entry struct {
	value  any
	origin plan.Origin
	uses   []string
}

// NewProfile returns a profile that sets nothing.
func NewProfile() *Profile {
	return &Profile{entries: make([]entry, len(table))}
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
	e := p.entry(s.Attribute)
	if e == nil {
		e = &entry{}
		if p.named == nil {
			p.named = map[*Attribute]*entry{}
		}
		p.named[s.Attribute] = e
	}
	if e.value != nil {
		old := e.origin
		lost := old.Overrode
		old.Overrode = nil
		s.Origin.Overrode = append([]plan.Origin{old}, lost...)
	}
	if s.Value == nil && s.Attribute.Label == "" && p.base != nil && p.base[s.Attribute.index] != nil {
		s.Value = p.base[s.Attribute.index]
		s.Origin.Value += " (" + s.Attribute.render(s.Value) + ")"
	}
	*e = entry{s.Value, s.Origin, s.Uses}
}

// entry returns that of an attribute, nil for one of a labelled block that the
// profile does not have.
func (p *Profile) entry(a *Attribute) *entry {
	if a.Label == "" {
		return &p.entries[a.index]
	}
	return p.named[a]
}

// Labels lists the labels of the blocks of a type, sorted.
func (p *Profile) Labels(block string) []string {
	var labels []string
	for a, e := range p.named {
		if a.Block == block && e.value != nil {
			labels = append(labels, a.Label)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// Attributes lists what is set: the table's attributes, then those of labelled
// blocks by label.
func (p *Profile) Attributes() []*Attribute {
	var set []*Attribute
	for i, a := range table {
		if p.entries[i].value != nil {
			set = append(set, a)
		}
	}
	first := len(set)
	for a, e := range p.named {
		if e.value != nil {
			set = append(set, a)
		}
	}
	slices.SortFunc(set[first:], func(a, b *Attribute) int {
		return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Label, b.Label), cmp.Compare(a.index, b.index))
	})
	return set
}

// Rebase makes the present values those that a null gives back: the built-in
// ones.
func (p *Profile) Rebase() {
	p.base = make([]any, len(p.entries))
	for i := range p.entries {
		p.base[i] = p.entries[i].value
	}
}

// Value returns an attribute's value, nil when it is not set.
func (p *Profile) Value(a *Attribute) any {
	if e := p.entry(a); e != nil {
		return e.value
	}
	return nil
}

// Uses lists the variables that the attribute's value was made from.
func (p *Profile) Uses(a *Attribute) []string {
	if e := p.entry(a); e != nil {
		return e.uses
	}
	return nil
}

// Origin returns where the attribute's value came from.
func (p *Profile) Origin(a *Attribute) plan.Origin {
	if e := p.entry(a); e != nil {
		return e.origin
	}
	return plan.Origin{}
}

// Origins returns the origin of each attribute that is set, and of each preset of
// a labelled block, by path.
func (p *Profile) Origins() map[string]plan.Origin {
	all := make(map[string]plan.Origin, len(table))
	for _, a := range p.Attributes() {
		all[a.Path()] = p.Origin(a)
	}
	for _, row := range table {
		if row.Preset == nil {
			continue
		}
		for _, label := range p.Labels(row.Block) {
			if a := row.In(label); p.Value(a) == nil {
				all[a.Path()] = plan.Origin{Kind: "builtin", Where: "preset of " + row.RowPath(), Value: row.render(row.Preset)}
			}
		}
	}
	return all
}

// Most returns n, or the largest value that policies allow a number where that is
// less: for what is chosen where the profile leaves it open. The attribute of a
// labelled block is given by its row.
func (p *Profile) Most(row *Attribute, n int) int {
	if most, limited := p.most[row]; limited {
		return min(most, n)
	}
	return n
}

// limit notes the largest value of a number; the least of several counts.
func (p *Profile) limit(row *Attribute, most int) {
	if p.most == nil {
		p.most = map[*Attribute]int{}
	}
	p.most[row] = p.Most(row, most)
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
		blocks[a.Block][a.Name] = ctyValue(p.entries[a.index].value)
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
	case bool:
		return cty.BoolVal(v)
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
	c.entries, c.named, c.most = slices.Clone(p.entries), nil, maps.Clone(p.most)
	for a, e := range p.named {
		if c.named == nil {
			c.named = make(map[*Attribute]*entry, len(p.named))
		}
		copied := *e
		c.named[a] = &copied
	}
	return &c
}
