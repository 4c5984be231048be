package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Declaration is a profile as a file declares it.
type Declaration struct {
	Name        string
	Description string
	Inherits    []Reference
	Place       diag.Range // of the name

	extent hcl.Range // from its first word to its last brace
	body
}

// body is values for attributes: what a profile or a patch is made of.
type body struct {
	file     *File
	context  string  // in profile "web"
	module   *Module // set by Link
	settings []setting
}

// setting is an attribute with its expression.
type setting struct {
	attribute *Attribute
	value     hclsyntax.Expression
}

// File returns the file that the declaration stands in.
func (b *body) File() *File { return b.file }

// Snippet cuts the line at r out of the declaration's file.
func (b *body) Snippet(r diag.Range) *diag.Snippet { return b.file.Snippet(r, b.context) }

func (p *parser) parseProfile(b *hclsyntax.Block) *Declaration {
	name, ok := p.name(b)
	if !ok {
		return nil
	}
	d := &Declaration{Name: name.Name, Place: name.Place, extent: extentOf(b, p.file.form), body: body{file: p.file, context: p.context}}
	p.parseHeader(d, b.Body)
	p.parseBody(&d.body, b)
	return d
}

// parseBody reads the blocks of a profile or of a patch's set block.
func (p *parser) parseBody(into *body, b *hclsyntax.Block) {
	seen := map[string]hcl.Range{}
	for _, inner := range b.Body.Blocks {
		name := inner.Type
		if len(inner.Labels) == 1 && isLabelled(inner.Type) {
			name += " " + strconv.Quote(inner.Labels[0])
		}
		first, again := seen[name]
		if again {
			p.errorf(inner.TypeRange, "Duplicate block", "A %s has each block once. The first %s block is on line %d: put its attributes together.", b.Type, name, first.Start.Line)
		} else {
			seen[name] = inner.TypeRange
		}
		p.parseBlock(into, b.Type, inner)
	}
}

// headers are the attributes that stand in a profile outside of its blocks.
var headers = []string{"description", "inherits"}

func (p *parser) parseHeader(d *Declaration, body *hclsyntax.Body) {
	for _, a := range sorted(body.Attributes) {
		switch a.Name {
		case "description":
			d.Description = p.text(a)
		case "inherits":
			d.Inherits = p.names(a, "base")
		default:
			p.errorf(a.NameRange, "Unsupported attribute", "A profile has no attribute %q outside of its blocks.%s", a.Name, p.headerHint(a.Name, headers))
		}
	}
}

// headerHint helps with an attribute that stands outside of the blocks of a
// profile or a patch, where only known ones may.
func (p *parser) headerHint(name string, known []string) string {
	for _, a := range table {
		if a.Name == name {
			return fmt.Sprintf(" Write it in its block: %s.", p.file.form.block(p.file.form.assign(a.Name, "..."), steps(a.Block)...))
		}
	}
	if slices.Contains(blocks(), name) {
		return fmt.Sprintf(" %s is a block: write %s.", name, p.file.form.block("...", steps(name)...))
	}
	if s := diag.DidYouMean(name, known); s != "" {
		return s
	}
	for _, a := range table {
		if diag.Nearest(name, []string{a.Name}) != "" {
			return fmt.Sprintf(" Did you mean %q in its block: %s?", a.Name, p.file.form.block(p.file.form.assign(a.Name, "..."), steps(a.Block)...))
		}
	}
	if len(known) == 0 {
		return fmt.Sprintf(" It has the blocks %s.", diag.List(blocks()))
	}
	return fmt.Sprintf(" It has %s, and the blocks %s.", diag.List(known), diag.List(blocks()))
}

// steps are the names that lead to the inside of a block of a profile.
func steps(block string) []string {
	if isLabelled(block) {
		return []string{block, `"data"`}
	}
	return []string{block}
}

func (p *parser) parseBlock(into *body, outer string, b *hclsyntax.Block) {
	if !slices.Contains(blocks(), b.Type) {
		p.errorf(b.TypeRange, "Unsupported block", "A %s has no block %q.%s Its blocks are %s.", outer, b.Type, diag.DidYouMean(b.Type, blocks()), diag.List(blocks()))
		return
	}
	label, ok := p.blockLabel(b)
	if !ok {
		return
	}
	p.noBlocks(b, attributesOf(b.Type))
	if label != "" && len(b.Body.Attributes) == 0 {
		p.errorf(b.LabelRanges[0], "Empty block", "The %s block %q sets nothing. Its attributes are %s.", b.Type, label, diag.List(attributesOf(b.Type)))
	}
	for _, a := range sorted(b.Body.Attributes) {
		row := find(b.Type, a.Name)
		if row == nil {
			p.errorf(a.NameRange, "Unsupported attribute", "A %s block has no attribute %q.%s", b.Type, a.Name, attributeHint(b.Type, a.Name))
			continue
		}
		if label != "" {
			row = row.In(label)
		}
		if p.checkReferences(a.Expr, row) {
			into.settings = append(into.settings, setting{row, a.Expr})
		}
	}
}

// blockLabel returns the label of a block of a profile, empty for one of a type
// that has none. It is false after a mistake.
func (p *parser) blockLabel(b *hclsyntax.Block) (string, bool) {
	if !isLabelled(b.Type) {
		p.noLabels(b)
		return "", true
	}
	if len(b.Labels) != 1 {
		p.errorf(b.DefRange(), "Block without a name", "A profile may have several %s blocks, each with a name of its own: %s. This one has %d.", b.Type, p.file.form.block("...", b.Type, `"data"`), len(b.Labels))
		return "", false
	}
	if label := b.Labels[0]; blockName.MatchString(label) {
		return label, true
	}
	p.errorf(b.LabelRanges[0], "Invalid name", "The name of a %s block has small letters, digits, dashes and underscores, begins with a letter or a digit, and has at most 20 characters. %q is not such a name.", b.Type, b.Labels[0])
	return "", false
}

// blockName is what a label of a block can be: it becomes a serial number of a
// disk, which has 20 characters, and a part of an attribute's path.
var blockName = regexp.MustCompile(LabelPattern)

// LabelPattern is a regular expression for the names of labelled blocks.
const LabelPattern = `^[a-z0-9][a-z0-9_-]{0,19}$`

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

// at makes an error at an expression of the body.
func (b *body) at(r hcl.Range, m *mistake) *diag.Diagnostic {
	return hcldiag.At(b.file.source, r, b.context, m.summary, m.detail)
}
