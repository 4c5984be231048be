package schema

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Declared is an attribute as a profile declares it.
type Declared struct {
	Attribute *Attribute
	// Expression is its source text.
	Expression string
	Place      diag.Range
}

// Declared lists the attributes that the profile declares, in the order of its
// file.
func (d *Declaration) Declared() []Declared {
	list := make([]Declared, len(d.settings))
	for i, s := range d.settings {
		r := s.value.Range()
		list[i] = Declared{Attribute: s.attribute, Expression: string(r.SliceBytes(d.file.source)), Place: hcldiag.Range(r)}
	}
	return list
}

// Check reports what is wrong with the declaration whatever a container's
// variables are: values that cannot be, and expressions whose type is not the
// attribute's.
func (d *Declaration) Check() diag.Diagnostics {
	var diags diag.Diagnostics
	context := unknownContext()
	for _, s := range d.settings {
		v, problems := s.value.Value(context)
		if problems.HasErrors() {
			diags = append(diags, hcldiag.Convert(problems, d.file.source, d.context())...)
			continue
		}
		if m := s.attribute.admits(v); m != nil {
			diags = append(diags, hcldiag.At(d.file.source, s.value.Range(), d.context(), m.summary, m.detail))
		}
	}
	return diags
}

// admits is decode as far as it can be said of a value that may be unknown.
func (a *Attribute) admits(v cty.Value) *mistake {
	if v.IsWhollyKnown() {
		if v.IsNull() {
			return nil
		}
		_, m := a.decode(v)
		return m
	}
	want := cty.String
	switch t := v.Type(); {
	case t == cty.DynamicPseudoType:
		return nil
	case a.Type == TypeStrings:
		if t.IsTupleType() || t.IsListType() || t.IsSetType() {
			return nil
		}
		return a.wrongType(v, `Write it in brackets, as in ["a", "b"].`)
	case a.Type == TypeInt:
		want = cty.Number
	}
	if v.Type() != want {
		return a.wrongType(v, fmt.Sprintf("Make the expression give a %s.", a.Type))
	}
	return nil
}

// unknownContext has every variable, of its type, with a value that nobody
// knows.
func unknownContext() *hcl.EvalContext {
	context := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions()}
	for name, value := range NewScope(Variables{}).evalContext().Variables {
		context.Variables[name] = forget(value)
	}
	return context
}

// forget makes the members of an object unknown.
func forget(v cty.Value) cty.Value {
	if !v.Type().IsObjectType() || v.IsNull() {
		return cty.UnknownVal(v.Type())
	}
	members := map[string]cty.Value{}
	for name, member := range v.AsValueMap() {
		members[name] = forget(member)
	}
	return cty.ObjectVal(members)
}

// Source is the declaration's text in its file.
func (d *Declaration) Source() string { return string(d.extent.SliceBytes(d.file.source)) }
