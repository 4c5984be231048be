package schema

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// File is a parsed source file.
type File struct {
	Name     string // as messages show it
	Profiles []*Declaration

	source []byte
	kind   string // plan.Origin.Kind of its settings
}

// Declaration is a profile as a file declares it.
type Declaration struct {
	Name        string
	Description string
	Inherits    []Reference
	Place       diag.Range // of the name

	file     *File
	settings []setting
	extent   hcl.Range // from its first word to its last brace
}

// Reference is a profile's name where another one inherits it.
type Reference struct {
	Name  string
	Place diag.Range
}

// setting is an attribute with its expression.
type setting struct {
	attribute *Attribute
	value     hclsyntax.Expression
}

// Snippet cuts the line at r out of the declaration's file.
func (d *Declaration) Snippet(r diag.Range) *diag.Snippet {
	return diag.Excerpt(d.file.source, r, d.context())
}

func (d *Declaration) context() string { return fmt.Sprintf("in profile %q", d.Name) }

// ParseHCL reads the profiles of a file. All of the file's mistakes that can be
// seen without values of variables are reported; the declarations without
// mistakes are returned as well. Kind is the plan.Origin.Kind of its values.
func ParseHCL(src []byte, name, kind string) (*File, diag.Diagnostics) {
	file := &File{Name: name, source: src, kind: kind}
	parsed, problems := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	diags := hcldiag.Convert(problems, src, "")
	if parsed == nil {
		return file, diags
	}
	body, ok := parsed.Body.(*hclsyntax.Body)
	if !ok {
		return file, diags
	}
	p := &parser{file: file, diags: diags}
	p.parseFile(body)
	return file, p.diags
}

// parser walks a file's body and collects what is wrong with it.
type parser struct {
	file    *File
	context string
	diags   diag.Diagnostics
}

func (p *parser) errorf(at hcl.Range, summary, format string, args ...any) {
	p.diags = append(p.diags, hcldiag.At(p.file.source, at, p.context, summary, fmt.Sprintf(format, args...)))
}

func (p *parser) parseFile(body *hclsyntax.Body) {
	for _, a := range sorted(body.Attributes) {
		p.errorf(a.NameRange, "Unsupported attribute", "%q stands outside of a profile. A file has blocks of the form: profile \"name\" { ... }.", a.Name)
	}
	for _, b := range body.Blocks {
		if b.Type != "profile" {
			p.errorf(b.TypeRange, "Unsupported block", "A file has blocks of type \"profile\"; %q is not known here.%s", b.Type, p.blockHint(b.Type))
			continue
		}
		if d := p.parseProfile(b); d != nil {
			p.file.Profiles = append(p.file.Profiles, d)
		}
		p.context = ""
	}
}

// blockHint helps with a block that belongs into a profile, or is misspelt.
func (p *parser) blockHint(name string) string {
	if slices.Contains(blocks(), name) {
		return fmt.Sprintf(" A %s block belongs into a profile: profile \"name\" { %s { ... } }.", name, name)
	}
	return diag.DidYouMean(name, []string{"profile"})
}

// profileName is what a label's comma-separated list and a file system can
// carry.
var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (p *parser) parseProfile(b *hclsyntax.Block) *Declaration {
	if len(b.Labels) != 1 {
		p.errorf(b.DefRange(), "Profile without a name", "A profile has one name, in quotes: profile \"web\" { ... }. This one has %d.", len(b.Labels))
		return nil
	}
	d := &Declaration{Name: b.Labels[0], Place: hcldiag.Range(b.LabelRanges[0]), file: p.file, extent: hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)}
	p.context = d.context()
	if !profileName.MatchString(d.Name) {
		p.errorf(b.LabelRanges[0], "Invalid profile name", "A profile's name has letters, digits, dots, dashes and underscores, begins with a letter or a digit, and has at most 63 characters. %q is not such a name.", d.Name)
	}
	p.parseHeader(d, b.Body)
	seen := map[string]hcl.Range{}
	for _, inner := range b.Body.Blocks {
		first, again := seen[inner.Type]
		if again {
			p.errorf(inner.TypeRange, "Duplicate block", "A profile has each block once. The first %s block is on line %d: put its attributes together.", inner.Type, first.Start.Line)
		} else {
			seen[inner.Type] = inner.TypeRange
		}
		p.parseBlock(d, inner)
	}
	return d
}

// headers are the attributes that stand in a profile outside of its blocks.
var headers = []string{"description", "inherits"}

func (p *parser) parseHeader(d *Declaration, body *hclsyntax.Body) {
	for _, a := range sorted(body.Attributes) {
		switch a.Name {
		case "description":
			if v, ok := p.constant(a); ok && v.Type() == cty.String && !v.IsNull() {
				d.Description = v.AsString()
			} else if ok {
				p.errorf(a.Expr.Range(), "Wrong type of value", "A profile's description is text in quotes.")
			}
		case "inherits":
			p.parseInherits(d, a)
		default:
			p.errorf(a.NameRange, "Unsupported attribute", "A profile has no attribute %q outside of its blocks.%s", a.Name, headerHint(a.Name))
		}
	}
}

func headerHint(name string) string {
	for _, a := range table {
		if a.Name == name {
			return fmt.Sprintf(" Write it in its block: %s { %s = ... }.", a.Block, a.Name)
		}
	}
	if slices.Contains(blocks(), name) {
		return fmt.Sprintf(" %s is a block, without an equals sign: %s { ... }.", name, name)
	}
	if s := diag.DidYouMean(name, headers); s != "" {
		return s
	}
	for _, a := range table {
		if diag.Nearest(name, []string{a.Name}) != "" {
			return fmt.Sprintf(" Did you mean %q in its block: %s { %s = ... }?", a.Name, a.Block, a.Name)
		}
	}
	return fmt.Sprintf(" It has %s, and the blocks %s.", diag.List(headers), diag.List(blocks()))
}

func (p *parser) parseInherits(d *Declaration, a *hclsyntax.Attribute) {
	elements := []hclsyntax.Expression{a.Expr}
	tuple, isList := a.Expr.(*hclsyntax.TupleConsExpr)
	if isList {
		elements = tuple.Exprs
	}
	for _, e := range elements {
		v, problems := e.Value(nil)
		if problems.HasErrors() || !isList || v.IsNull() || v.Type() != cty.String {
			p.errorf(e.Range(), "Wrong type of value", "A profile inherits a list of names in quotes, without variables: inherits = [\"base\"].")
			continue
		}
		d.Inherits = append(d.Inherits, Reference{Name: v.AsString(), Place: hcldiag.Range(e.Range())})
	}
}

// constant evaluates an attribute that may not use variables.
func (p *parser) constant(a *hclsyntax.Attribute) (cty.Value, bool) {
	v, problems := a.Expr.Value(nil)
	if problems.HasErrors() {
		p.errorf(a.Expr.Range(), "Not a constant", "%q is fixed: it cannot use variables or functions.", a.Name)
		return v, false
	}
	return v, true
}

func (p *parser) parseBlock(d *Declaration, b *hclsyntax.Block) {
	if !slices.Contains(blocks(), b.Type) {
		p.errorf(b.TypeRange, "Unsupported block", "A profile has no block %q.%s Its blocks are %s.", b.Type, diag.DidYouMean(b.Type, blocks()), diag.List(blocks()))
		return
	}
	for _, r := range b.LabelRanges {
		p.errorf(r, "Unexpected name", "A %s block has no name: write %s { ... }.", b.Type, b.Type)
	}
	for _, inner := range b.Body.Blocks {
		hint := ""
		if find(b.Type, inner.Type) != nil {
			hint = fmt.Sprintf(" %q is an attribute: write %s = ....", inner.Type, inner.Type)
		}
		p.errorf(inner.TypeRange, "Unsupported block", "A %s block has no blocks of its own.%s", b.Type, hint)
	}
	for _, a := range sorted(b.Body.Attributes) {
		row := find(b.Type, a.Name)
		if row == nil {
			p.errorf(a.NameRange, "Unsupported attribute", "A %s block has no attribute %q.%s", b.Type, a.Name, attributeHint(b.Type, a.Name))
			continue
		}
		if p.checkReferences(row, a.Expr) {
			d.settings = append(d.settings, setting{row, a.Expr})
		}
	}
}

func attributeHint(block, name string) string {
	if s := diag.DidYouMean(name, attributesOf(block)); s != "" {
		return s
	}
	for _, a := range table {
		if a.Name == name {
			return fmt.Sprintf(" It is one of the %s block.", a.Block)
		}
	}
	return " Its attributes are " + diag.List(attributesOf(block)) + "."
}

// sorted returns attributes in the order of the file.
func sorted(attributes hclsyntax.Attributes) []*hclsyntax.Attribute {
	list := make([]*hclsyntax.Attribute, 0, len(attributes))
	for _, a := range attributes {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hclsyntax.Attribute) int {
		return a.NameRange.Start.Byte - b.NameRange.Start.Byte
	})
	return list
}
