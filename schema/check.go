package schema

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
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

// Declared lists the attributes that the profile or the patch declares, in the
// order of its file.
func (b *body) Declared() []Declared {
	list := make([]Declared, len(b.settings))
	for i, s := range b.settings {
		r := s.value.Range()
		list[i] = Declared{Attribute: s.attribute, Expression: string(r.SliceBytes(b.file.source)), Place: hcldiag.Range(r)}
	}
	return list
}

// extentOf is a declaration's place: in YAML and JSON from its name on, since
// the word before it is that of others too.
func extentOf(b *hclsyntax.Block, form Form) hcl.Range {
	switch {
	case b.CloseBraceRange.Filename == "" && b.Body.SrcRange.Filename != "": // inline, without a block around it
		return b.Body.SrcRange
	case form == HCL:
		return hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)
	default:
		return hcl.RangeBetween(b.LabelRanges[0], b.CloseBraceRange)
	}
}

// Source is the declaration's text in its file, with the white space before it,
// which means something in YAML.
func (d *Declaration) Source() string {
	r := d.extent
	for r.Start.Byte > 0 && strings.IndexByte(" \t", d.file.source[r.Start.Byte-1]) >= 0 {
		r.Start.Byte--
	}
	return string(r.SliceBytes(d.file.source))
}

// Check reports what is wrong with the module whatever a container's variables
// are: values that cannot be, and expressions whose type is not the one that
// their place wants.
func (m *Module) Check() diag.Diagnostics {
	scope := &Scope{unknown: true, context: unknownContext(), modules: map[*Module]*hcl.EvalContext{}}
	context, diags := m.newContext(scope)
	scope.modules[m] = context
	for _, f := range m.Files {
		for _, d := range f.Profiles {
			diags = append(diags, d.check(scope)...)
		}
		for _, d := range f.Patches {
			diags = append(diags, d.checkCondition(scope)...)
			diags = append(diags, d.check(scope)...)
		}
		for _, d := range f.Policies {
			diags = append(diags, d.checkLimits(scope)...)
		}
	}
	return diags
}

func (b *body) check(scope *Scope) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, s := range b.settings {
		v, problems := s.value.Value(scope.contextOf(b.module, s.value, nil))
		if problems.HasErrors() {
			diags = append(diags, hcldiag.Convert(problems, b.file.source, b.context)...)
		} else if m := s.attribute.admits(v); m != nil {
			diags = append(diags, b.at(s.value.Range(), m))
		}
	}
	return diags
}

func (d *Policy) checkLimits(scope *Scope) diag.Diagnostics {
	bounds := body{file: d.file, context: d.context, module: d.module}
	for _, l := range d.Limits {
		for _, e := range []hclsyntax.Expression{l.min, l.max} {
			if e != nil {
				bounds.settings = append(bounds.settings, setting{l.Attribute, e})
			}
		}
	}
	return bounds.check(scope)
}

func (d *Patch) checkCondition(scope *Scope) diag.Diagnostics {
	v, problems := d.when.Value(scope.contextOf(d.module, d.when, nil))
	if problems.HasErrors() {
		return hcldiag.Convert(problems, d.file.source, d.context)
	}
	if t := v.Type(); !v.IsNull() && t != cty.Bool && t != cty.DynamicPseudoType {
		return diag.Diagnostics{d.at(d.when.Range(), d.wrongCondition(t))}
	}
	return nil
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
	case a.Type == TypeBool:
		want = cty.Bool
	case a.Type == TypeInt:
		want = cty.Number
	case a.Type == TypeBool:
		want = cty.Bool
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

// forget makes the members of an object unknown. A null of any type stands for
// a list that is empty here.
func forget(v cty.Value) cty.Value {
	if !v.Type().IsObjectType() || v.IsNull() {
		return cty.UnknownVal(v.Type())
	}
	members := map[string]cty.Value{}
	for name, member := range v.AsValueMap() {
		members[name] = forget(member)
	}
	return object(members)
}

// unknownProfile is what a patch's expressions see as profile.
func unknownProfile() cty.Value {
	values := map[string]cty.Value{}
	for _, block := range blocks() {
		if isLabelled(block) {
			continue
		}
		members := map[string]cty.Value{}
		for _, a := range AttributesOf(block) {
			members[a.Name] = cty.UnknownVal(a.ctyType())
		}
		values[block] = object(members)
	}
	return object(values)
}

// ctyType is the type that an attribute's value has in expressions.
func (a *Attribute) ctyType() cty.Type {
	switch a.Type {
	case TypeBool:
		return cty.Bool
	case TypeInt:
		return cty.Number
	case TypeStrings:
		return cty.List(cty.String)
	default:
		return cty.String
	}
}

// Declares lists what the file declares: profile "web", variable "tier".
func (f *File) Declares() []string {
	var all []string
	for _, d := range f.Profiles {
		all = append(all, blockProfile+" "+d.Name)
	}
	for _, d := range f.Patches {
		all = append(all, blockPatch+" "+d.Name)
	}
	for _, d := range f.Policies {
		all = append(all, blockPolicy+" "+d.Name)
	}
	for _, d := range f.Variables {
		all = append(all, blockVariable+" "+d.Name)
	}
	for _, l := range f.locals {
		all = append(all, rootLocal+" "+l.name)
	}
	return all
}
