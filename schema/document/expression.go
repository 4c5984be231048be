package document

import (
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Expression turns a node into the expression that HCL has for the same value.
// A string is a template, as it is in HCL: "${container.cpus}" is that value.
func (n *Node) Expression() (hclsyntax.Expression, hcl.Diagnostics) {
	switch n.Kind {
	case Null:
		return n.literal(cty.NullVal(cty.DynamicPseudoType)), nil
	case Bool:
		return n.literal(cty.BoolVal(n.Text == "true")), nil
	case Number:
		return n.number()
	case String:
		return n.template()
	case List:
		return n.tuple()
	case Mapping:
		return n.object()
	default:
		panic("document: node without a kind")
	}
}

func (n *Node) literal(v cty.Value) *hclsyntax.LiteralValueExpr {
	return &hclsyntax.LiteralValueExpr{Val: v, SrcRange: n.Range}
}

func (n *Node) number() (hclsyntax.Expression, hcl.Diagnostics) {
	v, err := cty.ParseNumberVal(n.Text)
	if err != nil || hugeNumber(n.Text) {
		return n.literal(cty.DynamicVal), problemAt(n.Range, "Number too large", tooLarge)
	}
	return n.literal(v), nil
}

func (n *Node) tuple() (hclsyntax.Expression, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	e := &hclsyntax.TupleConsExpr{SrcRange: n.Range, OpenRange: n.start()}
	for _, item := range n.Items {
		x, more := item.Expression()
		diags = append(diags, more...)
		e.Exprs = append(e.Exprs, x)
	}
	return e, diags
}

func (n *Node) object() (hclsyntax.Expression, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	e := &hclsyntax.ObjectConsExpr{SrcRange: n.Range, OpenRange: n.start()}
	for _, entry := range n.Entries {
		x, more := entry.Value.Expression()
		diags = append(diags, more...)
		key := &hclsyntax.LiteralValueExpr{Val: cty.StringVal(entry.Key), SrcRange: entry.KeyRange}
		e.Items = append(e.Items, hclsyntax.ObjectConsItem{KeyExpr: &hclsyntax.ObjectConsKeyExpr{Wrapped: key}, ValueExpr: x})
	}
	return e, diags
}

func (n *Node) start() hcl.Range {
	return hcl.Range{Filename: n.Range.Filename, Start: n.Range.Start, End: n.Range.Start}
}

func (n *Node) template() (hclsyntax.Expression, hcl.Diagnostics) {
	if !strings.Contains(n.Text, "${") && !strings.Contains(n.Text, "%{") {
		return n.literal(cty.StringVal(n.Text)), nil
	}
	m := mover{node: n, done: map[pointer]bool{}}
	tokens, _ := hclsyntax.LexTemplate([]byte(n.Text), n.Range.Filename, hcl.InitialPos)
	if diags := CheckTokens(tokens); diags != nil {
		diags[0].Subject = new(m.moved(*diags[0].Subject))
		return n.literal(cty.DynamicVal), diags
	}
	e, diags := hclsyntax.ParseTemplate([]byte(n.Text), n.Range.Filename, hcl.InitialPos)
	for _, d := range diags {
		for _, r := range []*hcl.Range{d.Subject, d.Context} {
			if r != nil {
				*r = m.moved(*r)
			}
		}
	}
	if e == nil {
		return n.literal(cty.DynamicVal), diags
	}
	m.move(reflect.ValueOf(&e))
	// As in HCL, the quotes are a part of the value's place.
	switch e := e.(type) {
	case *hclsyntax.TemplateExpr:
		e.SrcRange = n.Range
	case *hclsyntax.TemplateWrapExpr:
		e.SrcRange = n.Range
	}
	return e, diags
}

// mover rewrites the ranges of an expression that was parsed from a string's
// content to where that content is written: behind escapes, indentation and
// folded lines.
type mover struct {
	node *Node
	done map[pointer]bool // what was met, since expressions share some parts
}

type pointer struct {
	address uintptr
	of      reflect.Type
}

func (m *mover) moved(r hcl.Range) hcl.Range {
	n := m.node
	if n.offsets == nil {
		return n.Range
	}
	last := len(n.offsets) - 1
	from := max(0, min(r.Start.Byte, last))
	to := max(from, min(r.End.Byte, last))
	end := n.offsets[to]
	if to > from {
		// The end of the last character is not the start of the next one when line
		// breaks and indentation are between them.
		end = max(n.offsets[to-1]+1, min(end, n.offsets[to]))
	}
	return n.source.between(n.offsets[from], end)
}

var rangeType = reflect.TypeFor[hcl.Range]()

// move walks all that is exported; what is not, holds no ranges.
func (m *mover) move(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		p := pointer{v.Pointer(), v.Type()}
		if v.IsNil() || m.done[p] {
			return
		}
		m.done[p] = true
		m.move(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		if inner := v.Elem(); inner.Kind() == reflect.Pointer {
			m.move(inner)
		} else if v.CanSet() {
			// The steps of a traversal are values in interfaces.
			changed := reflect.New(inner.Type()).Elem()
			changed.Set(inner)
			m.move(changed)
			v.Set(changed)
		}
	case reflect.Slice:
		for i := range v.Len() {
			m.move(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == rangeType {
			if v.CanSet() {
				v.Set(reflect.ValueOf(m.moved(v.Interface().(hcl.Range))))
			}
			return
		}
		if v.Type().PkgPath() == reflect.TypeFor[cty.Value]().PkgPath() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				m.move(v.Field(i))
			}
		}
	}
}
