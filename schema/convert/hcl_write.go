package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/document"
)

// place is what may stand in a block: which names are blocks, and which of
// those have a name of their own.
type place map[string]schema.BlockDoc

func filePlace() place { return placeOf(schema.BlockDocs(), false) }

func placeOf(blocks []schema.BlockDoc, settings bool) place {
	p := place{}
	for _, b := range blocks {
		p[b.Block] = b
	}
	if settings {
		for _, name := range schema.Blocks() {
			doc := schema.BlockDoc{Block: name}
			if schema.Labelled(name) {
				doc.Label = "NAME"
			}
			p[name] = doc
		}
	}
	return p
}

// hclWriter writes a tree as HCL, which is laid out afterwards.
type hclWriter struct {
	strings.Builder
}

func writeHCL(n *node) ([]byte, error) {
	var w hclWriter
	if err := w.body(n, filePlace()); err != nil {
		return nil, err
	}
	return hclwrite.Format([]byte(w.String())), nil
}

func (w *hclWriter) comment(lines []string) {
	for _, l := range lines {
		w.WriteString("# " + l + "\n")
	}
}

func (w *hclWriter) body(n *node, p place) error {
	first := true
	for _, e := range n.entries {
		doc, isBlock := p[e.key]
		mapped := e.value.kind == document.Mapping || e.value.kind == document.Null
		var err error
		switch {
		case isBlock && mapped && doc.Label != "":
			for i, named := range e.value.entries {
				if !first || i > 0 {
					w.WriteString("\n")
				}
				if i == 0 {
					w.comment(e.comments.head)
				}
				if err = w.block(doc, fmt.Sprintf("%s %s", e.key, quoted(named.key)), named); err != nil {
					return err
				}
				first = false
			}
		case isBlock && mapped:
			if !first {
				w.WriteString("\n")
			}
			err = w.block(doc, e.key, e)
		default:
			err = w.attribute(e)
		}
		if err != nil {
			return err
		}
		first = false
		w.comment(e.comments.foot)
	}
	return nil
}

func (w *hclWriter) block(doc schema.BlockDoc, heading string, e *entry) error {
	w.comment(e.comments.head)
	if len(e.value.entries) == 0 {
		w.WriteString(heading + " {}" + behind(e.comments.line) + "\n")
		return nil
	}
	w.WriteString(heading + " {" + behind(e.comments.line) + "\n")
	if err := w.body(e.value, placeOf(doc.Blocks, doc.Settings)); err != nil {
		return err
	}
	w.WriteString("}\n")
	if doc.Label != "" {
		w.comment(e.comments.foot)
	}
	return nil
}

func behind(line string) string {
	if line == "" {
		return ""
	}
	return " # " + line
}

func (w *hclWriter) attribute(e *entry) error {
	value, err := hclValue(e.value)
	if err != nil {
		return fmt.Errorf("%s: %w", e.key, err)
	}
	w.comment(e.comments.head)
	w.WriteString(e.key + " = " + value + behind(e.comments.line) + "\n")
	return nil
}

func hclValue(n *node) (string, error) {
	switch n.kind {
	case document.Null:
		return "null", nil
	case document.String:
		return hclTemplate(n.text)
	case document.List:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			var err error
			if parts[i], err = hclValue(item); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case document.Mapping:
		var parts []string
		for _, e := range n.entries {
			value, err := hclValue(e.value)
			if err != nil {
				return "", err
			}
			key := e.key
			if !hclsyntax.ValidIdentifier(key) {
				key = quoted(key)
			}
			parts = append(parts, key+" = "+value)
		}
		return "{ " + strings.Join(parts, ", ") + " }", nil
	default:
		return n.text, nil
	}
}

// hclTemplate writes a template as an expression: what it interpolates when it
// is nothing else, or in quotes.
func hclTemplate(text string) (string, error) {
	if !strings.Contains(text, "${") && !strings.Contains(text, "%{") {
		return quoted(text), nil
	}
	e, problems := hclsyntax.ParseTemplate([]byte(text), "", hcl.InitialPos)
	if problems.HasErrors() {
		return "", problems
	}
	if wrap, ok := e.(*hclsyntax.TemplateWrapExpr); ok {
		source := strings.TrimSpace(text[len("${") : len(text)-len("}")])
		source = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(source, "~"), "~"))
		if strings.Contains(source, "\n") && !closed(wrap.Wrapped) {
			source = "(\n" + source + "\n)" // an attribute's expression ends with its line
		}
		return source, nil
	}
	return quoteTemplate(text), nil
}

// closed says whether an expression stands in brackets, where lines may end.
func closed(e hclsyntax.Expression) bool {
	switch e.(type) {
	case *hclsyntax.FunctionCallExpr, *hclsyntax.TupleConsExpr, *hclsyntax.ObjectConsExpr, *hclsyntax.ParenthesesExpr, *hclsyntax.ForExpr, *hclsyntax.TemplateExpr:
		return true
	default:
		return false
	}
}

// quoteTemplate puts a template in quotes: its text is escaped, its expressions
// stay as they are.
func quoteTemplate(text string) string {
	tokens, _ := hclsyntax.LexTemplate([]byte(text), "", hcl.InitialPos)
	var b strings.Builder
	b.WriteByte('"')
	depth, done := 0, 0
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenEOF {
			break
		}
		b.WriteString(text[done:t.Range.Start.Byte]) // white space between tokens of an expression
		done = t.Range.End.Byte
		switch t.Type {
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenTemplateSeqEnd:
			depth--
		}
		if t.Type == hclsyntax.TokenStringLit && depth == 0 {
			b.WriteString(escapeQuoted(string(t.Bytes)))
		} else {
			b.Write(t.Bytes)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoted is text without templates in quotes.
func quoted(text string) string { return `"` + escapeQuoted(escapeTemplate(text)) + `"` }

// escapeQuoted writes text for quotes, as HCL's specification has the escapes;
// templates in it stay.
func escapeQuoted(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || slices.Contains([]rune{0x85, 0x2028, 0x2029, 0xfeff}, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
