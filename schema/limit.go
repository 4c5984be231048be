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

// Excess compares the value of p with a limit of the policy. It is nil when the
// value is within it.
func (d *Policy) Excess(l *Limit, p *Profile, scope *Scope) (*Excess, diag.Diagnostics) {
	value := p.Value(l.Attribute)
	if value == nil {
		return nil, nil
	}
	low, high, diags := d.Bounds(l, scope)
	bound, least := high, false
	switch {
	case low != nil && compare(value, low) < 0:
		bound, least = low, true
	case high != nil && compare(value, high) > 0:
	default:
		return nil, diags
	}
	rendered := l.Attribute.render(bound)
	return &Excess{
		Value: l.Attribute.render(value), Bound: rendered, Least: least,
		Setting: Setting{
			Attribute: l.Attribute, Value: bound, Uses: p.Uses(l.Attribute), Place: l.Place,
			Origin: plan.Origin{Kind: "policy", Where: l.Place.String(), Value: rendered},
		},
	}, diags
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
