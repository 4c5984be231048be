package schema

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Evaluate computes the declaration's values. All mistakes are reported. A value
// that is null is a Setting without a value: see Profile.Set.
func (d *Declaration) Evaluate(scope *Scope) ([]Setting, diag.Diagnostics) {
	return d.evaluate(scope, nil, d.file.kind)
}

// evaluate computes the body's values. Expressions of a patch see profile.
func (b *body) evaluate(scope *Scope, profile *Profile, kind string) ([]Setting, diag.Diagnostics) {
	var diags diag.Diagnostics
	settings := make([]Setting, 0, len(b.settings))
	for _, s := range b.settings {
		value, more := b.value(s, scope, profile)
		diags = append(diags, more...)
		if more.HasErrors() {
			continue
		}
		rendered := "null"
		if value != nil {
			rendered = s.attribute.render(value)
		}
		settings = append(settings, Setting{
			Attribute: s.attribute, Value: value, Uses: references(s.value), Place: hcldiag.Range(s.value.Range()),
			Origin: plan.Origin{
				Kind:  kind,
				Where: hcldiag.Range(s.value.Range()).String(),
				Value: rendered,
			},
		})
	}
	return settings, diags
}

// value computes one value as its attribute's Go type; null is nil.
func (b *body) value(s setting, scope *Scope, profile *Profile) (any, diag.Diagnostics) {
	v, problems := s.value.Value(scope.contextOf(b.module, s.value, profile))
	if b.file.meter.exceeded() {
		return nil, diag.Diagnostics{b.at(s.value.Range(), workMistake())}
	}
	if problems.HasErrors() {
		return nil, hcldiag.Convert(problems, b.file.source, b.context)
	}
	// What HCL could not parse is unknown here, and has been reported; so has a
	// local that could not be computed.
	if v.IsNull() || !v.IsWhollyKnown() {
		return nil, nil
	}
	value, m := s.attribute.decode(v)
	if m != nil {
		return nil, diag.Diagnostics{b.at(s.value.Range(), m)}
	}
	return value, nil
}

// references lists the variables of an expression: "container.cpus".
func references(e hclsyntax.Expression) []string {
	var names []string
	for _, t := range e.Variables() {
		if len(t) >= 2 {
			if step, ok := t[1].(hcl.TraverseAttr); ok {
				names = append(names, t.RootName()+"."+step.Name)
			}
		}
	}
	return names
}

// FromFlags returns what docker's flags set beside the profile p: a flag wins
// over a value that was not made from it, and is named as the origin of one
// that is just the flag's.
func FromFlags(p *Profile, v Variables) []Setting {
	var settings []Setting
	for _, a := range table {
		value := v.flag(a.Reference)
		if value == nil || slices.Contains(p.Uses(a), a.Reference) && p.Value(a) != value {
			continue
		}
		settings = append(settings, Setting{
			Attribute: a, Value: value, Uses: []string{a.Reference},
			Origin: plan.Origin{Kind: "flag", Where: a.Flag, Value: a.render(value)},
		})
	}
	return settings
}

// flag returns the value of a variable that a docker flag sets, nil when it is
// not set. It is of the Go type of the attribute that names it.
func (v *Variables) flag(reference string) any {
	switch {
	case reference == "container.cpus" && v.Container.CPUs != nil:
		return *v.Container.CPUs
	case reference == "container.memory" && v.Container.Memory != nil:
		return *v.Container.Memory
	default:
		return nil
	}
}
