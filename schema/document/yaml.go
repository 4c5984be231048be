package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"go.yaml.in/yaml/v4"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// ParseYAML reads the documents of a YAML 1.2 stream; empty ones are left out.
// Plain scalars have the meaning of the core schema: "yes", "on" and "12:30" are
// text. When the syntax is wrong there are no documents; after other mistakes
// there is what has none.
func ParseYAML(text []byte, name string) (documents []*Node, diags diag.Diagnostics) {
	if diags = CheckText(text, name); diags != nil {
		return nil, diags
	}
	r := &yamlReader{reader: newReader(newSource(text, name)), open: map[*yaml.Node]bool{}}
	r.countLines()
	if !r.checkCharacters() {
		return nil, r.diags
	}
	for _, root := range r.load() {
		if n := r.value(root.Content[0], 0); n != nil && n.Kind != Null {
			documents = append(documents, n)
		}
	}
	return documents, r.diags
}

// maxAliased bounds what aliases stand for, in nodes: ten levels of an alias
// that is used ten times are ten thousand million.
const maxAliased = 10000

type yamlReader struct {
	reader
	lines   []int // where the lines of YAML begin
	open    map[*yaml.Node]bool
	aliased int // nodes that aliases stand for
	within  int // aliases that are being followed
}

// countLines finds the lines as the library counts them: lone carriage returns
// and three characters of Unicode end one as well.
func (r *yamlReader) countLines() {
	text := r.source.text
	r.lines = []int{r.source.begin}
	for i := r.source.begin; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		i += size
		if c == '\r' && i < len(text) && text[i] == '\n' {
			continue
		}
		if isBreak(c) {
			r.lines = append(r.lines, i)
		}
	}
}

func isBreak(c rune) bool {
	return c == '\n' || c == '\r' || c == '\u0085' || c == '\u2028' || c == '\u2029'
}

// offset finds a line and a column, which the library counts from 1 and in
// characters.
func (r *yamlReader) offset(line, column int) int {
	if line < 1 || line > len(r.lines) {
		if line > len(r.lines) {
			return len(r.source.text)
		}
		return r.source.begin
	}
	at := r.lines[line-1]
	for range column - 1 {
		_, size := utf8.DecodeRune(r.source.text[at:])
		at += size
	}
	return min(at, len(r.source.text))
}

// checkCharacters reports those that YAML does not allow, of which the library
// does not say where they are.
func (r *yamlReader) checkCharacters() bool {
	for i := r.source.begin; i < len(r.source.text); {
		c, size := utf8.DecodeRune(r.source.text[i:])
		switch {
		case c == '\t', isBreak(c), c >= ' ' && c <= '~', c >= 0xa0 && c <= 0xd7ff, c >= 0xe000 && c <= 0xfffd && c != 0xfeff, c >= 0x10000:
		default:
			r.report(r.source.at(i), "Invalid character",
				"The character U+%04X is not allowed in YAML. Remove it; in text with double quotes it can be written as \\u%04X.", c, c)
			return false
		}
		i += size
	}
	return true
}

// versionDirective is a directive of YAML 1.2 at the beginning, which the library
// takes with the version 1.1 only.
var versionDirective = regexp.MustCompile(`\A(?:[ \t]*(?:#[^\n]*)?\r?\n)*%YAML[ \t]+1\.[2-9]`)

// load reads the documents' nodes. A document on which the library panics is one
// that is not understood: an image may have brought it.
func (r *yamlReader) load() (roots []*yaml.Node) {
	defer func() {
		if cause := recover(); cause != nil {
			r.report(r.source.at(r.source.begin), "Invalid YAML", "This document is not understood: %v. Write it in a simpler way.", cause)
			roots = nil
		}
	}()
	text := r.source.text[r.source.begin:]
	if found := versionDirective.FindIndex(text); found != nil {
		text = bytes.Clone(text)
		text[found[1]-1] = '1'
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		panic("document: " + err.Error())
	}
	for {
		root := new(yaml.Node)
		err := loader.Load(root)
		if errors.Is(err, io.EOF) {
			return roots
		}
		if err != nil {
			r.syntax(err)
			return nil
		}
		if len(root.Content) > 0 {
			roots = append(roots, root)
		}
	}
}

// value converts a node; nil when there is a mistake.
func (r *yamlReader) value(n *yaml.Node, depth int) *Node {
	if n.Kind == yaml.AliasNode {
		return r.alias(n, depth)
	}
	from := r.skipProperties(n)
	if depth > maxDepth {
		r.tooDeep(r.source.at(from))
		return nil
	}
	if r.within > 0 {
		if r.aliased++; r.aliased > maxAliased {
			if r.aliased == maxAliased+1 {
				r.report(r.source.at(from), "Too many aliases", "The aliases of this document stand for more than %d values. Write what is needed without aliases of aliases.", maxAliased)
			}
			return nil
		}
	}
	r.open[n] = true
	defer delete(r.open, n)
	switch n.Kind {
	case yaml.SequenceNode:
		return r.sequence(n, from, depth)
	case yaml.MappingNode:
		return r.mapping(n, from, depth)
	case yaml.ScalarNode:
		return r.scalar(n, from)
	default:
		panic(fmt.Sprintf("document: a YAML node of kind %d", n.Kind))
	}
}

func (r *yamlReader) alias(n *yaml.Node, depth int) *Node {
	if r.open[n.Alias] {
		r.report(r.nameAt(n), "Alias inside of its anchor", "The alias *%s stands for what it is a part of, which would have no end.", n.Value)
		return nil
	}
	r.within++
	defer func() { r.within-- }()
	return r.value(n.Alias, depth)
}

// nameAt is the range of an alias.
func (r *yamlReader) nameAt(n *yaml.Node) hcl.Range {
	from := r.offset(n.Line, n.Column)
	return r.source.between(from, from+1+len(n.Value))
}

// skipProperties returns where a node's content begins, behind its anchor and
// tag.
func (r *yamlReader) skipProperties(n *yaml.Node) int {
	at := r.offset(n.Line, n.Column)
	if n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 && n.Tag != "!" {
		return at
	}
	text := r.source.text
	for at < len(text) {
		switch text[at] {
		case '&', '!':
			for at < len(text) && strings.IndexByte(" \t\r\n,", text[at]) < 0 {
				at++
			}
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			for at < len(text) && text[at] != '\n' {
				at++
			}
		default:
			return at
		}
	}
	return at
}

func (r *yamlReader) sequence(n *yaml.Node, from, depth int) *Node {
	out := &Node{Kind: List, source: r.source}
	end := from + 1
	if !r.checkTag(n, from, "!!seq") {
		return nil
	}
	for _, item := range n.Content {
		if v := r.value(item, depth+1); v != nil {
			out.Items = append(out.Items, v)
			end = r.grow(end, item, v)
		}
	}
	out.Range = r.source.between(from, r.close(n, end, ']'))
	return out
}

// grow extends the end of a collection to that of an element, unless that is
// written elsewhere, at its anchor.
func (r *yamlReader) grow(end int, n *yaml.Node, v *Node) int {
	if n.Kind == yaml.AliasNode {
		return max(end, r.nameAt(n).End.Byte)
	}
	return max(end, v.Range.End.Byte)
}

// close finds the bracket that ends a collection in flow style.
func (r *yamlReader) close(n *yaml.Node, end int, bracket byte) int {
	text := r.source.text
	if n.Style&yaml.FlowStyle == 0 {
		return end
	}
	for at := end; at < len(text); at++ {
		switch text[at] {
		case bracket:
			return at + 1
		case ' ', '\t', '\r', '\n', ',':
		default:
			return end // a comment
		}
	}
	return end
}

func (r *yamlReader) mapping(n *yaml.Node, from, depth int) *Node {
	out := &Node{Kind: Mapping, source: r.source}
	var all entries
	var merges []*yaml.Node
	end := from + 1
	if !r.checkTag(n, from, "!!map") {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if isMerge(key) {
			merges = append(merges, key, value)
			end = max(end, r.offset(value.Line, value.Column))
			continue
		}
		k, v := r.key(key, depth), r.value(value, depth+1)
		if k == nil || v == nil {
			continue
		}
		all.add(&r.reader, Entry{Key: k.Text, KeyRange: k.Range, Value: v})
		end = r.grow(end, value, v)
	}
	for i := 0; i+1 < len(merges); i += 2 {
		r.merge(&all, merges[i], merges[i+1], i > 0, depth)
	}
	out.Entries = all.list
	out.Range = r.source.between(from, r.close(n, end, '}'))
	return out
}

// key converts a key, which is text.
func (r *yamlReader) key(n *yaml.Node, depth int) *Node {
	k := r.value(n, depth+1)
	if k == nil || k.Kind == String {
		return k
	}
	if k.Kind == List || k.Kind == Mapping {
		at := k.Range
		// A template without quotes is the usual cause.
		r.report(at, "Invalid key", "The name in front of a colon is text, and this is %s. Braces and brackets at the start of text need quotes.", k.Kind)
		return nil
	}
	r.report(k.Range, "Invalid key", "The name in front of a colon is text, and %q without quotes is %s in YAML. Put it in quotes.", n.Value, k.Kind)
	return nil
}

func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 &&
		(n.Style&yaml.TaggedStyle == 0 || n.Tag == "!!merge")
}

// merge adds what a merge key brings, as https://yaml.org/type/merge.html has
// it: keys that are there already win, and of several mappings the first.
func (r *yamlReader) merge(all *entries, key, value *yaml.Node, again bool, depth int) {
	at := r.source.at(r.offset(key.Line, key.Column))
	at.End.Byte, at.End.Column = at.End.Byte+1, at.End.Column+1
	if again {
		r.report(at, "Duplicate key", "A mapping has one merge key. It takes a list of several mappings: <<: [*a, *b].")
		return
	}
	v := r.value(value, depth+1)
	if v == nil {
		return
	}
	sources := []*Node{v}
	if v.Kind == List {
		sources = v.Items
	}
	for _, s := range sources {
		if s.Kind != Mapping {
			r.report(s.Range, "Invalid merge", "A merge key brings in the keys of a mapping, and this is %s. It takes an alias, as in <<: *base, or a list of them.", s.Kind)
			continue
		}
		for _, e := range s.Entries {
			if _, there := all.seen[e.Key]; !there {
				all.add(&r.reader, e)
			}
		}
	}
}

// place renders the range of an offset for a message.
func (r *yamlReader) place(offset int) string { return hcldiag.Range(r.source.at(offset)).String() }
