package convert

import (
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
	"github.com/runcvm/runcvm/schema/document"
)

// hclReader makes a tree of HCL's syntax.
type hclReader struct {
	src      []byte
	comments []comment // that are not in the tree yet
}

// comment is one of HCL's, a line of it.
type comment struct {
	line     int
	offset   int
	trailing bool // behind something on its line
	text     string
}

// readHCL makes the tree of a file without mistakes, and tells the lines of
// comments that have no place in it.
func readHCL(src []byte, name string) (*node, []int, diag.Diagnostics) {
	file, problems := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if problems.HasErrors() {
		return nil, nil, hcldiag.Convert(problems, src, "")
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	r := &hclReader{src: src, comments: commentsOf(tokens)}
	root := mapping()
	r.body(root, file.Body.(*hclsyntax.Body), len(src))
	var lost []int
	for _, c := range r.comments {
		lost = append(lost, c.line)
	}
	return root, lost, nil
}

func commentsOf(tokens hclsyntax.Tokens) []comment {
	var all []comment
	lastLine := 0 // of what is no comment
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenComment:
			for i, line := range strings.Split(strings.TrimRight(string(t.Bytes), "\r\n"), "\n") {
				at := t.Range.Start.Line + i
				all = append(all, comment{line: at, offset: t.Range.Start.Byte, trailing: at == lastLine, text: unmarked(line)})
			}
		case hclsyntax.TokenNewline, hclsyntax.TokenEOF:
		default:
			lastLine = t.Range.End.Line
		}
	}
	return all
}

// unmarked is a line of a comment without the marks of HCL's three kinds.
func unmarked(line string) string {
	line = strings.TrimSpace(printable(line))
	for _, mark := range []string{"#", "//", "/*", "*/", "*"} {
		if rest, ok := strings.CutPrefix(line, mark); ok {
			line = rest
			break
		}
	}
	return strings.TrimSpace(strings.TrimSuffix(line, "*/"))
}

// printable leaves out what no comment of YAML may have.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// body reads what stands in a block, in the order of the file.
func (r *hclReader) body(into *node, b *hclsyntax.Body, end int) {
	type part struct {
		at    hcl.Range
		block *hclsyntax.Block
		attr  *hclsyntax.Attribute
	}
	var parts []part
	for _, a := range b.Attributes {
		parts = append(parts, part{at: a.SrcRange, attr: a})
	}
	for _, inner := range b.Blocks {
		parts = append(parts, part{at: inner.TypeRange, block: inner})
	}
	slices.SortFunc(parts, func(x, y part) int { return x.at.Start.Byte - y.at.Start.Byte })
	var last *entry
	for _, p := range parts {
		own := comments{head: r.take(func(c comment) bool { return c.offset < p.at.Start.Byte && !c.trailing })}
		if p.attr != nil {
			last = into.get(p.attr.Name)
			last.value = r.value(p.attr.Expr)
			own.line = r.behind(p.attr.SrcRange.End)
			// Those within a list or an object stand above it.
			own.head = append(own.head, r.take(func(c comment) bool { return within(c, p.attr.SrcRange) })...)
		} else {
			last = r.block(into, p.block, &own)
		}
		last.comments.head = append(last.comments.head, own.head...)
		last.comments.line = own.line
	}
	if last != nil {
		last.comments.foot = r.take(func(c comment) bool {
			return c.offset < end && !c.trailing && c.offset > parts[len(parts)-1].at.Start.Byte
		})
	}
}

// block reads a block; the innermost name gets its comments.
func (r *hclReader) block(into *node, b *hclsyntax.Block, own *comments) *entry {
	e := into.get(b.Type)
	for _, label := range b.Labels {
		e = e.value.get(label)
	}
	own.line = r.behind(b.OpenBraceRange.End)
	r.body(e.value, b.Body, b.CloseBraceRange.Start.Byte)
	return e
}

func within(c comment, r hcl.Range) bool { return c.offset >= r.Start.Byte && c.offset < r.End.Byte }

// behind takes the comment behind a place on its line.
func (r *hclReader) behind(at hcl.Pos) string {
	return strings.Join(r.take(func(c comment) bool { return c.trailing && c.line == at.Line && c.offset >= at.Byte }), " ")
}

// take removes the comments that wanted picks, and returns their text.
func (r *hclReader) take(wanted func(comment) bool) []string {
	var texts []string
	r.comments = slices.DeleteFunc(r.comments, func(c comment) bool {
		if !wanted(c) {
			return false
		}
		if c.text != "" {
			texts = append(texts, c.text)
		}
		return true
	})
	return texts
}

func (r *hclReader) source(e hclsyntax.Expression) string { return string(e.Range().SliceBytes(r.src)) }

// value turns an expression into a value, or into a template that has it.
func (r *hclReader) value(e hclsyntax.Expression) *node {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return r.literal(e)
	case *hclsyntax.UnaryOpExpr:
		if _, ok := e.Val.(*hclsyntax.LiteralValueExpr); ok && e.Op == hclsyntax.OpNegate {
			return &node{kind: document.Number, text: strings.ReplaceAll(r.source(e), " ", "")}
		}
	case *hclsyntax.TemplateExpr:
		if text, ok := r.template(e); ok {
			return &node{kind: document.String, text: text}
		}
	case *hclsyntax.TemplateWrapExpr:
		return r.interpolation(r.source(e.Wrapped))
	case *hclsyntax.TupleConsExpr:
		n := &node{kind: document.List}
		for _, x := range e.Exprs {
			n.items = append(n.items, r.value(x))
		}
		return n
	case *hclsyntax.ObjectConsExpr:
		if n, ok := r.object(e); ok {
			return n
		}
	}
	r.take(func(c comment) bool { return within(c, e.Range()) }) // they are in the text
	return r.interpolation(r.source(e))
}

func (r *hclReader) literal(e *hclsyntax.LiteralValueExpr) *node {
	switch {
	case e.Val.IsNull():
		return &node{kind: document.Null}
	case e.Val.Type() == cty.Bool:
		return &node{kind: document.Bool, text: r.source(e)}
	case e.Val.Type() == cty.Number:
		return &node{kind: document.Number, text: r.source(e)}
	default:
		return &node{kind: document.String, text: escapeTemplate(e.Val.AsString())}
	}
}

// interpolation is a string that is an expression's value.
func (r *hclReader) interpolation(source string) *node {
	text := "${" + source + "}"
	if _, problems := hclsyntax.ParseTemplate([]byte(text), "", hcl.InitialPos); problems.HasErrors() {
		text = "${" + source + "\n}" // a heredoc ends with its line
	}
	return &node{kind: document.String, text: text}
}

// template writes a quoted template or a heredoc as the plain text of one. It is
// false for one with directives, which have no node of their own.
func (r *hclReader) template(e *hclsyntax.TemplateExpr) (string, bool) {
	tokens, _ := hclsyntax.LexExpression([]byte(r.source(e)+"\n"), "", hcl.InitialPos)
	if slices.ContainsFunc(tokens, func(t hclsyntax.Token) bool { return t.Type == hclsyntax.TokenTemplateControl }) {
		return "", false
	}
	var b strings.Builder
	for _, part := range e.Parts {
		if l, ok := part.(*hclsyntax.LiteralValueExpr); ok && l.Val.Type() == cty.String {
			b.WriteString(escapeTemplate(l.Val.AsString()))
		} else {
			b.WriteString(r.interpolation(r.source(part)).text)
		}
	}
	return b.String(), true
}

func (r *hclReader) object(e *hclsyntax.ObjectConsExpr) (*node, bool) {
	n := mapping()
	for _, item := range e.Items {
		key, problems := item.KeyExpr.Value(nil)
		if problems.HasErrors() || key.Type() != cty.String || key.IsNull() {
			return nil, false
		}
		n.entries = append(n.entries, &entry{key: key.AsString(), value: r.value(item.ValueExpr)})
	}
	return n, true
}

// escapeTemplate writes text so that a template has it.
func escapeTemplate(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text)
}
