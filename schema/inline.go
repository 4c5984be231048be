package schema

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Bounds of an inline document.
const (
	// MaxInline is its size in bytes. A profile has about one kilobyte.
	MaxInline = 16 << 10
	// maxNesting is how deep brackets and signs may stand in each other.
	maxNesting = 64
)

// InlineName is the name of a profile that an inline document gives without
// one.
const InlineName = "inline"

// ParseInline reads the document of a label or a variable: one profile, as a
// file has it, or just what stands in its braces, beside variables and locals.
// Who writes it is not trusted: its size, its nesting and the work of its
// expressions are bounded. Name is the label's or the variable's.
func ParseInline(src []byte, name, kind string) (*File, diag.Diagnostics) {
	file := &File{Name: name, source: src, kind: kind, meter: new(meter)}
	place := diag.Range{File: name}
	if len(src) > MaxInline {
		return file, diag.Diagnostics{{
			Severity: diag.Error, Summary: "Document too large", Range: &place,
			Detail: fmt.Sprintf("An inline profile has at most %d bytes; this one has %d. Have it installed as a file on the host, and name it.", MaxInline, len(src)),
		}}
	}
	if at, deep := tooNested(src, name); deep {
		return file, diag.Diagnostics{hcldiag.At(src, at, "", "Nested too deeply",
			fmt.Sprintf("Brackets, braces and signs stand in each other in more than %d levels here; a profile needs five.", maxNesting))}
	}
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
	p.parseInline(body)
	file.confine()
	return file, p.diags
}

// parseInline takes a body that declares no profile as that of one.
func (p *parser) parseInline(body *hclsyntax.Body) {
	declares := slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == blockProfile })
	outer := &hclsyntax.Body{Attributes: body.Attributes}
	bare := &hclsyntax.Block{Type: blockProfile, Body: &hclsyntax.Body{Attributes: body.Attributes}}
	for _, b := range body.Blocks {
		switch {
		case b.Type == blockPatch || b.Type == blockPolicy:
			p.errorf(b.TypeRange, "Not in an inline profile", "A %s is the host's to declare. An inline document has one profile, variables and locals.", b.Type)
		case declares || slices.Contains(fileBlocks, b.Type):
			outer.Blocks = append(outer.Blocks, b)
		default:
			bare.Body.Blocks = append(bare.Body.Blocks, b)
		}
	}
	if !declares {
		outer.Attributes = nil
	}
	p.parseFile(outer)
	if !declares {
		p.parseBare(bare)
	}
	if list := p.file.Profiles; len(list) > 1 {
		d := list[1]
		p.report(d.Place, "More than one profile", "An inline document has one profile, and %q is there already, on line %d. Put their attributes together, or install them on the host and name them.", list[0].Name, list[0].Place.Start.Line)
		p.file.Profiles = list[:1]
	}
}

func (p *parser) parseBare(b *hclsyntax.Block) {
	p.roots = valueRoots
	p.context = "in an inline profile"
	d := &Declaration{Name: InlineName, Place: diag.Range{File: p.file.Name}, body: body{file: p.file, context: p.context}}
	p.parseHeader(d, b.Body)
	p.parseBody(&d.body, b)
	p.file.Profiles = append(p.file.Profiles, d)
	p.context = ""
}

// confine makes the file's expressions count their work.
func (f *File) confine() {
	for _, d := range f.Profiles {
		for i := range d.settings {
			f.meter.each(&d.settings[i].value)
		}
	}
	for _, l := range f.locals {
		f.meter.each(&l.value)
	}
}

// tooNested finds where a document's nesting begins to be too deep. The parser
// takes some kilobytes of stack for each level.
func tooNested(src []byte, name string) (hcl.Range, bool) {
	// What is wrong with the tokens, the parser reports as well.
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	depth, signs := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen,
			hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen,
			hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth--
		}
		if t.Type == hclsyntax.TokenMinus || t.Type == hclsyntax.TokenBang {
			signs++
		} else {
			signs = 0
		}
		if depth > maxNesting || signs > maxNesting {
			return t.Range, true
		}
	}
	return hcl.Range{}, false
}
