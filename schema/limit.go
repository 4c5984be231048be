package schema

import (
	"cmp"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema/units"
)

// Excess is a value that is beyond a limit.
type Excess struct {
	Value, Bound string  // as a profile would write them
	Least        bool    // the bound is the smallest value that is allowed
	Setting      Setting // gives the attribute the bound as its value
}

// Excess compares the values of p with a limit of the policy: one value, or that
// of each labelled block. Those that are within it are left out. The profile
// notes the largest value, see Profile.Most.
func (d *Policy) Excess(l *Limit, p *Profile, scope *Scope) ([]*Excess, diag.Diagnostics) {
	var limited []*Attribute
	for _, a := range p.Attributes() {
		if a.index == l.Attribute.index {
			limited = append(limited, a)
		}
	}
	low, high, diags := d.Bounds(l, scope)
	if most, ok := high.(int); ok {
		p.limit(l.Attribute, most)
	}
	var all []*Excess
	for _, a := range limited {
		if e := l.excess(a, p, low, high); e != nil {
			all = append(all, e)
		}
	}
	return all, diags
}

func (l *Limit) excess(a *Attribute, p *Profile, low, high any) *Excess {
	value := p.Value(a)
	bound, least := high, false
	switch {
	case low != nil && compare(value, low) < 0:
		bound, least = low, true
	case high != nil && compare(value, high) > 0:
	default:
		return nil
	}
	rendered := a.render(bound)
	return &Excess{
		Value: a.render(value), Bound: rendered, Least: least,
		Setting: Setting{
			Attribute: a, Value: bound, Uses: p.Uses(a), Place: l.Place,
			Origin: plan.Origin{Kind: "policy", Where: l.Place.String(), Value: rendered},
		},
	}
}

// compare orders two values of one attribute that has an order.
func compare(a, b any) int {
	switch a := a.(type) {
	case int:
		return cmp.Compare(a, b.(int))
	case units.Bytes:
		return cmp.Compare(a, b.(units.Bytes))
	case time.Duration:
		return cmp.Compare(a, b.(time.Duration))
	default:
		panic("schema: a limit of an attribute without an order")
	}
}
