package schema

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
	"github.com/runcvm/runcvm/schema/document"
)

// ParseYAML is ParseHCL of a file in YAML. Each of its documents counts.
func ParseYAML(src []byte, name, kind string) (*File, diag.Diagnostics) {
	roots, diags := document.ParseYAML(src, name)
	return parseTrees(roots, diags, &File{Name: name, source: src, kind: kind, form: YAML})
}

// ParseJSON is ParseHCL of a file in JSON.
func ParseJSON(src []byte, name, kind string) (*File, diag.Diagnostics) {
	root, diags := document.ParseJSON(src, name)
	return parseTrees(trees(root), diags, &File{Name: name, source: src, kind: kind, form: JSON})
}

func trees(root *document.Node) []*document.Node {
	if root == nil {
		return nil
	}
	return []*document.Node{root}
}

func parseTrees(roots []*document.Node, diags diag.Diagnostics, file *File) (*File, diag.Diagnostics) {
	p := &parser{file: file, diags: diags}
	for _, root := range roots {
		if p.isMapping(root) {
			p.parseFile(p.treeBody(root, fileShape()))
		}
	}
	p.diags.Sort()
	return file, p.diags
}

// isMapping reports a document that has no names at its top.
func (p *parser) isMapping(root *document.Node) bool {
	if root.Kind == document.Mapping {
		return true
	}
	f := p.file.form
	hint := ""
	if root.Kind == document.String && FormOfText(root.Text) == HCL {
		hint = " This looks like HCL: a file in HCL has a name that ends in .hcl."
	}
	p.errorf(root.Range, "Not a mapping", "A file of profiles in %s is a mapping, and this is %s. Write %s.%s", f, root.Kind, f.block("...", "profile", `"name"`), hint)
	return false
}

// treeBody turns a mapping into what HCL's parser makes of a block, so that one
// parser reads all forms.
func (p *parser) treeBody(n *document.Node, s *shape) *hclsyntax.Body {
	body := &hclsyntax.Body{
		Attributes: hclsyntax.Attributes{}, SrcRange: n.Range,
		EndRange: hcl.Range{Filename: n.Range.Filename, Start: n.Range.End, End: n.Range.End},
	}
	for _, e := range n.Entries {
		inner := s.blocks[e.Key]
		isBlock := e.Value.Kind == document.Mapping || e.Value.Kind == document.Null
		switch {
		case inner != nil && inner.labelled && isBlock:
			body.Blocks = append(body.Blocks, p.labelledBlocks(e, inner)...)
		case inner != nil && isBlock:
			body.Blocks = append(body.Blocks, p.treeBlock(e, inner))
		case inner == nil && e.Value.Kind == document.Mapping && !s.has(e.Key):
			// No block of this name is known here, which is told as in HCL.
			body.Blocks = append(body.Blocks, &hclsyntax.Block{Type: e.Key, TypeRange: e.KeyRange, Body: &hclsyntax.Body{SrcRange: e.Value.Range, EndRange: e.Value.Range}})
		default:
			if a := p.treeAttribute(e, s); a != nil {
				body.Attributes[e.Key] = a
			}
		}
	}
	return body
}

func (p *parser) treeBlock(e document.Entry, s *shape) *hclsyntax.Block {
	return &hclsyntax.Block{
		Type: e.Key, TypeRange: e.KeyRange, OpenBraceRange: e.Value.Range, CloseBraceRange: e.Value.Range,
		Body: p.treeBody(e.Value, s),
	}
}

// labelledBlocks makes a block of each name in the mapping.
func (p *parser) labelledBlocks(e document.Entry, s *shape) []*hclsyntax.Block {
	var blocks []*hclsyntax.Block
	for _, named := range e.Value.Entries {
		if k := named.Value.Kind; k != document.Mapping && k != document.Null {
			p.errorf(named.Value.Range, "Not a mapping", "Below the name of a %s stands a mapping of its attributes, and this is %s. Write %s.",
				e.Key, k, p.file.form.block("...", e.Key, `"`+named.Key+`"`))
			continue
		}
		b := p.treeBlock(named, s)
		b.Type, b.TypeRange = e.Key, e.KeyRange
		b.Labels, b.LabelRanges = []string{named.Key}, []hcl.Range{named.KeyRange}
		blocks = append(blocks, b)
	}
	return blocks
}

func (p *parser) treeAttribute(e document.Entry, s *shape) *hclsyntax.Attribute {
	if s.open && !hclsyntax.ValidIdentifier(e.Key) {
		p.errorf(e.KeyRange, "Invalid name", "%q cannot stand in an expression: a name has letters, digits, dashes and underscores, and begins with a letter.", e.Key)
		return nil
	}
	x, problems := e.Value.Expression()
	p.diags = append(p.diags, hcldiag.Convert(problems, p.file.source, p.context)...)
	return &hclsyntax.Attribute{
		Name: e.Key, Expr: x, NameRange: e.KeyRange,
		SrcRange: e.KeyRange, EqualsRange: hcl.Range{Filename: e.KeyRange.Filename, Start: e.KeyRange.End, End: e.KeyRange.End},
	}
}
