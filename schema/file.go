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
	Name      string // as messages show it
	Profiles  []*Declaration
	Patches   []*Patch
	Policies  []*Policy
	Variables []*Variable

	locals []*local
	uses   []use // of variables and locals, which Link looks up
	source []byte
	kind   string // plan.Origin.Kind of its settings
}

// Snippet cuts the line at r out of the file; context says what encloses it.
func (f *File) Snippet(r diag.Range, context string) *diag.Snippet {
	return diag.Excerpt(f.source, r, context)
}

// Reference is a name where a file mentions it.
type Reference struct {
	Name  string
	Place diag.Range
}

// ParseHCL reads a file in HCL. All of the file's mistakes that can be
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
	context string   // in profile "web"
	roots   []string // of the variables that expressions here may use
	diags   diag.Diagnostics
}

func (p *parser) errorf(at hcl.Range, summary, format string, args ...any) {
	p.diags = append(p.diags, hcldiag.At(p.file.source, at, p.context, summary, fmt.Sprintf(format, args...)))
}

// Types of the blocks of a file.
const (
	blockProfile  = "profile"
	blockPatch    = "patch"
	blockPolicy   = "policy"
	blockVariable = "variable"
	blockLocals   = "locals"
)

// fileBlocks are the types of a file's blocks in the order of the reference.
var fileBlocks = []string{blockProfile, blockPatch, blockPolicy, blockVariable, blockLocals}

func (p *parser) parseFile(body *hclsyntax.Body) {
	for _, a := range sorted(body.Attributes) {
		p.errorf(a.NameRange, "Unsupported attribute", "%q stands outside of a profile. A file has blocks of the form: profile \"name\" { ... }.", a.Name)
	}
	for _, b := range body.Blocks {
		p.roots = valueRoots
		switch b.Type {
		case blockProfile:
			if d := p.parseProfile(b); d != nil {
				p.file.Profiles = append(p.file.Profiles, d)
			}
		case blockPatch:
			if d := p.parsePatch(b); d != nil {
				p.file.Patches = append(p.file.Patches, d)
			}
		case blockPolicy:
			if d := p.parsePolicy(b); d != nil {
				p.file.Policies = append(p.file.Policies, d)
			}
		case blockVariable:
			if d := p.parseVariable(b); d != nil {
				p.file.Variables = append(p.file.Variables, d)
			}
		case blockLocals:
			p.parseLocals(b)
		default:
			p.errorf(b.TypeRange, "Unsupported block", "A file has blocks of the types %s; %q is not known here.%s", diag.List(fileBlocks), b.Type, p.blockHint(b.Type))
		}
		p.context = ""
	}
}

// blockHint helps with a block that belongs into a profile, or is misspelt.
func (p *parser) blockHint(name string) string {
	if slices.Contains(blocks(), name) {
		return fmt.Sprintf(" A %s block belongs into a profile: profile \"name\" { %s { ... } }.", name, name)
	}
	return diag.DidYouMean(name, fileBlocks)
}

// declarationName is what a label's comma-separated list and a file system can
// carry.
var declarationName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// name returns the one label of a block that declares something, and sets the
// context of what follows. It is false when there is none.
func (p *parser) name(b *hclsyntax.Block) (Reference, bool) {
	if len(b.Labels) != 1 {
		p.errorf(b.DefRange(), "Block without a name", "A %s has one name, in quotes: %s \"web\" { ... }. This one has %d.", b.Type, b.Type, len(b.Labels))
		return Reference{}, false
	}
	r := Reference{Name: b.Labels[0], Place: hcldiag.Range(b.LabelRanges[0])}
	p.context = fmt.Sprintf("in %s %q", b.Type, r.Name)
	if !declarationName.MatchString(r.Name) {
		p.errorf(b.LabelRanges[0], "Invalid name", "The name of a %s has letters, digits, dots, dashes and underscores, begins with a letter or a digit, and has at most 63 characters. %q is not such a name.", b.Type, r.Name)
	}
	return r, true
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

// text reads an attribute that is a constant text, empty after a mistake.
func (p *parser) text(a *hclsyntax.Attribute) string {
	v, ok := p.constant(a)
	if ok && !v.IsNull() && v.Type() == cty.String {
		return v.AsString()
	}
	if ok {
		p.errorf(a.Expr.Range(), "Wrong type of value", "%q is text in quotes.", a.Name)
	}
	return ""
}

// names reads an attribute that is a constant list of texts.
func (p *parser) names(a *hclsyntax.Attribute, example string) []Reference {
	elements := []hclsyntax.Expression{a.Expr}
	tuple, isList := a.Expr.(*hclsyntax.TupleConsExpr)
	if isList {
		elements = tuple.Exprs
	}
	var list []Reference
	for _, e := range elements {
		v, problems := e.Value(nil)
		if problems.HasErrors() || !isList || v.IsNull() || v.Type() != cty.String {
			p.errorf(e.Range(), "Wrong type of value", "%q is a list of texts in quotes, without variables: %s = [%q].", a.Name, a.Name, example)
			continue
		}
		list = append(list, Reference{Name: v.AsString(), Place: hcldiag.Range(e.Range())})
	}
	return list
}

// noBlocks reports blocks where there can be none.
func (p *parser) noBlocks(b *hclsyntax.Block, attributes []string) {
	for _, inner := range b.Body.Blocks {
		hint := ""
		if slices.Contains(attributes, inner.Type) {
			hint = fmt.Sprintf(" %q is an attribute: write %s = ....", inner.Type, inner.Type)
		}
		p.errorf(inner.TypeRange, "Unsupported block", "A %s block has no blocks of its own.%s", b.Type, hint)
	}
}

// noLabels reports names of a block that has none.
func (p *parser) noLabels(b *hclsyntax.Block) {
	for _, r := range b.LabelRanges {
		p.errorf(r, "Unexpected name", "A %s block has no name: write %s { ... }.", b.Type, b.Type)
	}
}

// unsupported reports an attribute that a block of this type does not have.
func (p *parser) unsupported(a *hclsyntax.Attribute, block string, known []string) {
	hint := diag.DidYouMean(a.Name, known)
	if hint == "" {
		hint = " Its attributes are " + diag.List(known) + "."
	}
	p.errorf(a.NameRange, "Unsupported attribute", "A %s has no attribute %q.%s", block, a.Name, hint)
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
