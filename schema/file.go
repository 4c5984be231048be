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
	"github.com/runcvm/runcvm/schema/document"
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
	form   Form
	meter  *meter // nil for a file of the host
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
	file := &File{Name: name, source: src, kind: kind, form: HCL}
	p := &parser{file: file, diags: document.CheckText(src, name)}
	if p.diags.HasErrors() {
		return file, p.diags
	}
	if body := p.hclBody(); body != nil {
		p.parseFile(body)
	}
	return file, p.diags
}

// Parse reads a file in the form that its name's ending says.
func Parse(src []byte, name, kind string) (*File, diag.Diagnostics) {
	switch FormOf(name) {
	case YAML:
		return ParseYAML(src, name, kind)
	case JSON:
		return ParseJSON(src, name, kind)
	case HCL:
		return ParseHCL(src, name, kind)
	default:
		place := diag.Range{File: name}
		return &File{Name: name, source: src, kind: kind, form: HCL}, diag.Diagnostics{{
			Severity: diag.Error, Summary: "Unknown form", Range: &place,
			Detail: fmt.Sprintf("The form of %s is not known by its name, which ends in %s. Rename it.", name, diag.Choices(Extensions())),
		}}
	}
}

// hclBody parses the source's syntax; nil when nothing of it is understood.
func (p *parser) hclBody() *hclsyntax.Body {
	src, name := p.file.source, p.file.Name
	if problems := document.CheckHCL(src, name); problems != nil {
		p.diags = append(p.diags, hcldiag.Convert(problems, src, "")...)
		return nil
	}
	parsed, problems := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	p.diags = append(p.diags, hcldiag.Convert(problems, src, "")...)
	if parsed == nil {
		return nil
	}
	body, _ := parsed.Body.(*hclsyntax.Body)
	return body
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
		if inner := fileShape().blocks[a.Name]; inner != nil {
			steps := []string{a.Name}
			if inner.labelled {
				steps = append(steps, `"name"`)
			}
			p.errorf(a.NameRange, "Unsupported attribute", "%q is a block: write %s.", a.Name, p.file.form.block("...", steps...))
			continue
		}
		p.errorf(a.NameRange, "Unsupported attribute", "%q stands outside of a profile. A file has blocks of the form: %s.", a.Name, p.file.form.block("...", "profile", `"name"`))
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
		return fmt.Sprintf(" A %s block belongs into a profile: %s.", name, p.file.form.block("...", append([]string{"profile", `"name"`}, steps(name)...)...))
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
		p.errorf(b.DefRange(), "Block without a name", "A %s has one name, in quotes: %s. This one has %d.", b.Type, p.file.form.block("...", b.Type, `"web"`), len(b.Labels))
		return Reference{}, false
	}
	r := Reference{Name: b.Labels[0], Place: hcldiag.Range(b.LabelRanges[0])}
	p.context = fmt.Sprintf("in %s %q", b.Type, r.Name)
	if !declarationName.MatchString(r.Name) {
		p.errorf(b.LabelRanges[0], "Invalid name", "The name of a %s has letters, digits, dots, dashes and underscores, begins with a letter or a digit, and has at most 63 characters. %q is not such a name.", b.Type, r.Name)
	}
	return r, true
}

// tooMuch reports, at an expression, that the document has done more than it
// may.
func (p *parser) tooMuch(e hclsyntax.Expression) bool {
	if !p.file.meter.exceeded() {
		return false
	}
	m := workMistake()
	p.errorf(e.Range(), m.summary, "%s", m.detail)
	return true
}

// constant evaluates an attribute that may not use variables.
func (p *parser) constant(a *hclsyntax.Attribute) (cty.Value, bool) {
	v, problems := p.file.meter.confine(a.Expr).Value(nil)
	if p.tooMuch(a.Expr) {
		return v, false
	}
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
		v, problems := p.file.meter.confine(e).Value(nil)
		if p.tooMuch(e) {
			return nil
		}
		if problems.HasErrors() || !isList || v.IsNull() || v.Type() != cty.String {
			p.errorf(e.Range(), "Wrong type of value", "%q is a list of texts in quotes, without variables: %s.", a.Name, p.file.form.assign(a.Name, fmt.Sprintf("[%q]", example)))
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
			hint = fmt.Sprintf(" %q is an attribute: write %s.", inner.Type, p.file.form.assign(inner.Type, "..."))
		}
		p.errorf(inner.TypeRange, "Unsupported block", "A %s block has no blocks of its own.%s", b.Type, hint)
	}
}

// noLabels reports names of a block that has none.
func (p *parser) noLabels(b *hclsyntax.Block) {
	for _, r := range b.LabelRanges {
		p.errorf(r, "Unexpected name", "A %s block has no name: write %s.", b.Type, p.file.form.block("...", b.Type))
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
