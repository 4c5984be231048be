package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Variable is an input of a module's expressions: var.tier.
type Variable struct {
	Name        string
	Description string
	Type        string     // one of VariableTypes
	Allowed     []string   // the values that a string may have; nil for any
	Place       diag.Range // of the name

	value   cty.Value // the default, null without one
	file    *File
	context string
}

// VariableTypes are the types of variables.
var VariableTypes = []string{"string", "number", "bool", "list"}

// ctyTypes are those of VariableTypes for expressions. A size or a duration is a
// string, as it is written.
var ctyTypes = map[string]cty.Type{
	"string": cty.String, "number": cty.Number, "bool": cty.Bool, "list": cty.List(cty.String),
}

var variableAttributes = []string{"description", "type", "default", "allowed"}

func (p *parser) parseVariable(b *hclsyntax.Block) *Variable {
	name, ok := p.name(b)
	if !ok {
		return nil
	}
	if !hclsyntax.ValidIdentifier(name.Name) {
		p.errorf(b.LabelRanges[0], "Invalid name", "%q cannot follow \"var.\" in an expression: a variable's name has letters, digits, dashes and underscores.", name.Name)
		return nil
	}
	d := &Variable{Name: name.Name, Place: name.Place, Type: "string", file: p.file, context: p.context}
	p.noBlocks(b, variableAttributes)
	var preset *hclsyntax.Attribute
	for _, a := range sorted(b.Body.Attributes) {
		switch a.Name {
		case "description":
			d.Description = p.text(a)
		case "type":
			if t := p.choice(a, VariableTypes); t != "" {
				d.Type = t
			}
		case "default":
			preset = a
		case "allowed":
			for _, r := range p.names(a, "small") {
				d.Allowed = append(d.Allowed, r.Name)
			}
		default:
			p.unsupported(a, b.Type, variableAttributes)
		}
	}
	d.value = cty.NullVal(ctyTypes[d.Type])
	if preset != nil {
		p.parseDefault(d, preset)
	}
	return d
}

func (p *parser) parseDefault(d *Variable, a *hclsyntax.Attribute) {
	v, ok := p.constant(a)
	if !ok || v.IsNull() {
		return
	}
	v, err := convert.Convert(v, ctyTypes[d.Type])
	if err != nil || !v.IsWhollyKnown() {
		p.errorf(a.Expr.Range(), "Wrong type of value", "The default of a variable of the type %q is a %s.", d.Type, ctyTypes[d.Type].FriendlyName())
		return
	}
	if m := d.check(v); m != nil {
		p.errorf(a.Expr.Range(), m.summary, "%s", m.detail)
		return
	}
	d.value = v
}

func (d *Variable) check(v cty.Value) *mistake {
	if d.Allowed == nil || d.Type != "string" || slices.Contains(d.Allowed, v.AsString()) {
		return nil
	}
	return &mistake{"Value not allowed", fmt.Sprintf("var.%s is %s, not %q.%s", d.Name, diag.Choices(d.Allowed), v.AsString(), diag.DidYouMean(v.AsString(), d.Allowed))}
}

// read turns the text of an input into the variable's type. A list is written
// with commas.
func (d *Variable) read(text string) (cty.Value, *mistake) {
	var v cty.Value
	switch d.Type {
	case "number":
		n, err := cty.ParseNumberVal(text)
		if err != nil {
			return v, &mistake{"Wrong type of value", fmt.Sprintf("var.%s is a number; %q is none.", d.Name, text)}
		}
		v = n
	case "bool":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return v, &mistake{"Wrong type of value", fmt.Sprintf("var.%s is true or false, not %q.", d.Name, text)}
		}
		v = cty.BoolVal(b)
	case "list":
		v = cty.ListValEmpty(cty.String)
		var parts []cty.Value
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, cty.StringVal(part))
			}
		}
		if len(parts) > 0 {
			v = cty.ListVal(parts)
		}
	default:
		v = cty.StringVal(text)
	}
	return v, d.check(v)
}

// local is a named expression of a module: local.size.
type local struct {
	name    string
	place   hcl.Range // of the name
	value   hclsyntax.Expression
	file    *File
	context string
}

func (p *parser) parseLocals(b *hclsyntax.Block) {
	p.context = "in locals"
	p.noLabels(b)
	p.noBlocks(b, nil)
	for _, a := range sorted(b.Body.Attributes) {
		if p.checkReferences(a.Expr, nil) {
			p.file.locals = append(p.file.locals, &local{name: a.Name, place: a.NameRange, value: a.Expr, file: p.file, context: p.context})
		}
	}
}

// choice reads an attribute that is one of a few texts, empty after a mistake.
func (p *parser) choice(a *hclsyntax.Attribute, allowed []string) string {
	v, ok := p.constant(a)
	if !ok {
		return ""
	}
	if v.IsNull() || v.Type() != cty.String || !slices.Contains(allowed, v.AsString()) {
		hint := ""
		if !v.IsNull() && v.Type() == cty.String {
			hint = diag.DidYouMean(v.AsString(), allowed)
		}
		p.errorf(a.Expr.Range(), "Value not allowed", "%q is %s.%s", a.Name, diag.Choices(allowed), hint)
		return ""
	}
	return v.AsString()
}

// boolean reads an attribute that is true or false, false after a mistake.
func (p *parser) boolean(a *hclsyntax.Attribute) bool {
	v, ok := p.constant(a)
	if !ok {
		return false
	}
	if v.IsNull() || v.Type() != cty.Bool {
		p.errorf(a.Expr.Range(), "Wrong type of value", "%q is true or false, without quotes.", a.Name)
		return false
	}
	return v.True()
}

// at makes an error at the variable's name.
func (d *Variable) at(m *mistake) *diag.Diagnostic {
	place := d.Place
	return &diag.Diagnostic{Severity: diag.Error, Summary: m.summary, Detail: m.detail, Range: &place, Snippet: d.file.Snippet(place, d.context)}
}

func (l *local) at(m *mistake) *diag.Diagnostic {
	return hcldiag.At(l.file.source, l.place, l.context, m.summary, m.detail)
}

// Check says what is wrong with an input for the variable, nil when nothing is.
func (d *Variable) Check(in Input) *diag.Diagnostic {
	if _, wrong := d.read(in.Value); wrong != nil {
		return inputError(d, in, wrong)
	}
	return nil
}

func inputError(d *Variable, in Input, wrong *mistake) *diag.Diagnostic {
	return &diag.Diagnostic{
		Severity: diag.Error, Summary: wrong.summary, Range: &diag.Range{File: in.Where},
		Detail: fmt.Sprintf("%s It is declared at %s.", wrong.detail, d.Place),
	}
}
