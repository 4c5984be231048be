package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
	"github.com/runcvm/runcvm/schema/document"
)

// InlineName is the name of a profile that is given without one.
const InlineName = "inline"

// MaxInline bounds an inline document, in bytes.
const MaxInline = 64 << 10

var (
	// namesOnly is a comma-separated list of profiles' names.
	namesOnly = regexp.MustCompile(`^[\sA-Za-z0-9._,-]*$`)
	// blankOrComment is what stands in front of the first line that says something.
	blankOrComment = regexp.MustCompile(`^(\s*(#[^\n]*)?(\n|$))+`)
	hclStart       = regexp.MustCompile(`^\s*(//|/\*|[A-Za-z_][A-Za-z0-9_-]*(\s+("[^"\n]*"|[A-Za-z_][A-Za-z0-9_-]*))*\s*(\{|=))`)
	yamlStart      = regexp.MustCompile(`^\s*(---|%YAML|("[^"\n]*"|'[^'\n]*'|[^\s:#{}\[\]]+)\s*:(\s|$))`)
)

// IsDocument tells a document from a list of names such as "web, gpu".
func IsDocument(text string) bool { return !namesOnly.MatchString(text) }

// FormOfText recognises the form of a document by its first line that is
// neither blank nor a comment with #: JSON begins with a brace, HCL has a block
// or an attribute (machine {, inherits =), YAML a key (machine:) or a marker
// (---). It is "" for anything else.
func FormOfText(text string) Form {
	text = strings.TrimPrefix(text, "\ufeff")
	text = text[len(blankOrComment.FindString(text)):]
	switch {
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
		return JSON
	case hclStart.MatchString(text):
		return HCL
	case yamlStart.MatchString(text):
		return YAML
	default:
		return ""
	}
}

// ParseInline reads a document that stands in a label or a variable instead of a
// file. It is in any of the forms, and either as a file is, or just the inside
// of one profile, which gets the name InlineName. Name is what messages call the
// place. Who wrote the document is not trusted: it has no patches and policies,
// and its size, its nesting and the work of its expressions are bounded.
func ParseInline(src []byte, name, kind string) (*File, diag.Diagnostics) {
	file := &File{Name: name, source: src, kind: kind, form: FormOfText(string(src)), meter: new(meter)}
	if len(src) > MaxInline {
		place := diag.Range{File: name}
		return file, diag.Diagnostics{{
			Severity: diag.Error, Summary: "Document too large", Range: &place,
			Detail: fmt.Sprintf("An inline profile has at most %d bytes, and this one has %d. Put it into a file of the host, and name it.", MaxInline, len(src)),
		}}
	}
	p := &parser{file: file, diags: document.CheckText(src, name)}
	if p.diags.HasErrors() {
		return file, p.diags
	}
	switch file.form {
	case HCL:
		if body := p.hclBody(); body != nil {
			p.parseInline(body)
		}
	case YAML:
		roots, diags := document.ParseYAML(src, name)
		p.diags = append(p.diags, diags...)
		p.parseInlineTrees(roots)
	case JSON:
		root, diags := document.ParseJSON(src, name)
		p.diags = append(p.diags, diags...)
		p.parseInlineTrees(trees(root))
	default:
		p.unrecognised()
	}
	p.confine()
	return file, p.diags
}

// confine takes what only a host may declare from an inline document, and makes
// its expressions count their work.
func (p *parser) confine() {
	f := p.file
	refuse := func(what string, at diag.Range) {
		p.report(at, "Not in an inline profile", "A %s is a host's to declare. An inline document has a profile, variables and locals.", what)
	}
	for _, d := range f.Patches {
		refuse(blockPatch, d.Place)
	}
	for _, d := range f.Policies {
		refuse(blockPolicy, d.Place)
	}
	f.Patches, f.Policies = nil, nil
	for _, d := range f.Profiles {
		for i := range d.settings {
			d.settings[i].value = f.meter.whole(d.settings[i].value)
		}
	}
	for _, l := range f.locals {
		l.value = f.meter.whole(l.value)
	}
}

func (p *parser) unrecognised() {
	src := p.file.source
	begin := len(blankOrComment.FindString(string(src)))
	for begin < len(src) && strings.IndexByte(" \t\r\n", src[begin]) >= 0 {
		begin++
	}
	place := diag.Locate(p.file.Name, src, begin)
	p.report(place, "Unknown form", "An inline profile is in HCL, as in %s, in YAML, as in %s, or in JSON, as in {%s}. This begins like none of them; a list of profiles' names has letters, digits, dots, dashes, underscores and commas only.",
		HCL.block(HCL.assign("cpus", "2"), "machine"), YAML.block(YAML.assign("cpus", "2"), "machine"), JSON.block(JSON.assign("cpus", "2"), "machine"))
}

func (p *parser) parseInlineTrees(roots []*document.Node) {
	for _, root := range roots {
		if !p.isMapping(root) {
			continue
		}
		// What a name at the top is, depends on whether the top is that of a file.
		s := fileShape()
		if !slices.ContainsFunc(root.Entries, func(e document.Entry) bool { return slices.Contains(fileBlocks, e.Key) }) {
			s = s.blocks[blockProfile]
		}
		p.parseInline(p.treeBody(root, s))
	}
	p.diags.Sort()
}

// parseInline reads a body that is a file's, or a profile's.
func (p *parser) parseInline(body *hclsyntax.Body) {
	if slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return slices.Contains(fileBlocks, b.Type) }) {
		p.parseFile(body)
		return
	}
	if len(p.file.Profiles) > 0 {
		p.errorf(body.SrcRange, "Second profile without a name", "The documents before this one hold a profile already. Give each a name: %s.", p.file.form.block("...", "profile", `"name"`))
		return
	}
	p.roots = valueRoots
	at := body.SrcRange
	at.End = at.Start
	b := &hclsyntax.Block{Type: blockProfile, Body: body, TypeRange: at, Labels: []string{InlineName}, LabelRanges: []hcl.Range{at}}
	if d := p.parseProfile(b); d != nil {
		d.Place = hcldiag.Range(at)
		p.file.Profiles = append(p.file.Profiles, d)
	}
	p.context = ""
}
