package schema

import (
	"fmt"
	"math/big"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// meter bounds what the expressions of one document may do: a document that an
// image brings is evaluated on the host, before anything is confined. Work is
// counted, not timed, so that the same document is always refused or always
// accepted: one unit for each expression that is evaluated, one for each byte
// of text in what it gives, and elementWork for each element.
type meter struct{ spent int }

const (
	// maxWork is some hundred times what a profile needs that sets everything by
	// expressions, and takes a few milliseconds and mebibytes at the worst.
	maxWork = 1 << 16
	// elementWork is more than an element's share in memory: some operations
	// compare each element with each other one.
	elementWork = 32
	// maxErrors bounds what one expression tells: each part that uses a wrong
	// value would tell it again.
	maxErrors = 4
)

// exceeded says whether the document has done more than it may. Its values are
// unknown from then on.
func (m *meter) exceeded() bool { return m != nil && m.spent > maxWork }

// workMistake is what exceeded means, for users.
func workMistake() *mistake {
	return &mistake{
		"Expressions too large",
		fmt.Sprintf("The expressions of this document make values of more than %d bytes in all. An image's profile is evaluated on the host and has to be small: write the values out, or have the profile installed as a file on the host.", maxWork),
	}
}

// confine makes e and all expressions in it count their work. It changes e.
func (m *meter) confine(e hclsyntax.Expression) hclsyntax.Expression {
	if m == nil || e == nil {
		return e
	}
	switch e := e.(type) {
	case *metered:
		return e
	case *hclsyntax.ParenthesesExpr:
		m.each(&e.Expression)
	case *hclsyntax.RelativeTraversalExpr:
		m.each(&e.Source)
	case *hclsyntax.FunctionCallExpr:
		for i, arg := range e.Args {
			if e.Name == "try" || e.Name == "can" { // they get the expression itself
				e.Args[i] = m.whole(arg)
			} else {
				e.Args[i] = m.confine(arg)
			}
		}
	case *hclsyntax.ConditionalExpr:
		m.each(&e.Condition, &e.TrueResult, &e.FalseResult)
	case *hclsyntax.IndexExpr:
		m.each(&e.Collection, &e.Key)
	case *hclsyntax.TupleConsExpr:
		m.list(e.Exprs)
	case *hclsyntax.ObjectConsExpr:
		for i := range e.Items {
			m.each(&e.Items[i].KeyExpr, &e.Items[i].ValueExpr)
		}
	case *hclsyntax.ObjectConsKeyExpr:
		// A bare word as a key is read off the expression, not evaluated.
		if _, word := e.Wrapped.(*hclsyntax.ScopeTraversalExpr); !word || e.ForceNonLiteral {
			m.each(&e.Wrapped)
		}
		return e
	case *hclsyntax.ForExpr:
		m.each(&e.CollExpr, &e.KeyExpr, &e.ValExpr, &e.CondExpr)
	case *hclsyntax.SplatExpr:
		m.each(&e.Source, &e.Each)
	case *hclsyntax.TemplateExpr:
		m.list(e.Parts)
	case *hclsyntax.TemplateJoinExpr:
		m.each(&e.Tuple)
	case *hclsyntax.TemplateWrapExpr:
		m.each(&e.Wrapped)
	case *hclsyntax.BinaryOpExpr:
		m.each(&e.LHS, &e.RHS)
	case *hclsyntax.UnaryOpExpr:
		m.each(&e.Val)
	}
	return &metered{Expression: e, meter: m}
}

// whole is confine of an expression that is asked for its variables.
func (m *meter) whole(e hclsyntax.Expression) hclsyntax.Expression {
	variables := e.Variables() // HCL looks for them in types that it knows
	confined := m.confine(e)
	if c, ok := confined.(*metered); ok && c.variables == nil {
		c.variables = variables
	}
	return confined
}

func (m *meter) each(list ...*hclsyntax.Expression) {
	for _, e := range list {
		if *e != nil {
			*e = m.confine(*e)
		}
	}
}

func (m *meter) list(list []hclsyntax.Expression) {
	for i := range list {
		list[i] = m.confine(list[i])
	}
}

// metered is an expression that counts its work.
type metered struct {
	hclsyntax.Expression
	meter     *meter
	variables []hcl.Traversal // see whole
}

// Variables lists the variables of an expression that whole has confined.
func (e *metered) Variables() []hcl.Traversal { return e.variables }

// Value is unknown, without an error, when the document has done too much: a
// loop that is running then comes to its end in no time, and try() cannot catch
// it.
func (e *metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if e.meter.spent++; e.meter.exceeded() {
		return cty.DynamicVal, nil
	}
	v, diags := e.Expression.Value(ctx)
	if len(diags) > maxErrors {
		diags = diags[:maxErrors]
	}
	e.meter.spent += weight(v, maxWork-e.meter.spent)
	if e.meter.exceeded() {
		return cty.DynamicVal, nil
	}
	if tooLong(v) {
		at := e.Range()
		return cty.DynamicVal, append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Subject: &at,
			Summary: "Number too large", Detail: "This number has more digits than any attribute can hold.",
		})
	}
	return v, diags
}

// weight is the work that a value stands for. It stops counting beyond limit: a
// value may hold the same part more often than can be counted.
func weight(v cty.Value, limit int) int {
	if v == cty.NilVal || !v.IsKnown() || v.IsNull() {
		return 1
	}
	t := v.Type()
	switch {
	case t == cty.String:
		return 1 + len(v.AsString())
	case t.IsCollectionType() || t.IsTupleType() || t.IsObjectType():
		sum := 1
		for it := v.ElementIterator(); it.Next() && sum <= limit; {
			key, element := it.Element()
			sum += elementWork + weight(element, limit-sum)
			if key.Type() == cty.String {
				sum += len(key.AsString())
			}
		}
		return sum
	default:
		return 1
	}
}

// tooLong says whether a number has more than some 300 digits when it is
// written out, as 1e999999999 has.
func tooLong(v cty.Value) bool {
	const maxExponent = 1024 // of two, as in IEEE 754's double precision
	if v == cty.NilVal || v.Type() != cty.Number || !v.IsKnown() || v.IsNull() {
		return false
	}
	exponent := new(big.Float).Abs(v.AsBigFloat()).MantExp(nil)
	return exponent > maxExponent || exponent < -maxExponent
}
