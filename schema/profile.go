// Package schema is the profile language: its table of attributes, the reading
// of HCL, and the typed profile that comes out. It does no I/O.
package schema

import (
	"github.com/runcvm/runcvm/engine/plan"
)

// Profile is a resolved profile: a value for each attribute, and where it came
// from. Read it with the keys: MachineCPUs.Of(p).
type Profile struct {
	// Names are the merged profiles in their order, the last one the strongest.
	Names []string

	values  []any
	origins []plan.Origin
	uses    [][]string
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
	// Uses lists the variables that the value was made from: "container.cpus".
	Uses []string
}

// Set gives an attribute a value; the one that it had is remembered as
// overridden.
func (p *Profile) Set(s Setting) {
	i := s.Attribute.index
	if p.values[i] != nil {
		old := p.origins[i]
		lost := old.Overrode
		old.Overrode = nil
		s.Origin.Overrode = append([]plan.Origin{old}, lost...)
	}
	p.values[i], p.origins[i], p.uses[i] = s.Value, s.Origin, s.Uses
}

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
