// Package convert writes profile files in another of their notations. What a
// file means stays; comments are kept where the notation has them.
package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/document"
)

// node is a value of a file, with the comments that belong to it. A string is a
// template, as in YAML and JSON.
type node struct {
	kind    document.Kind
	text    string
	items   []*node
	entries []*entry
}

// entry is a name and its value.
type entry struct {
	key      string
	value    *node
	comments comments
}

// comments are those of an entry, without their marks.
type comments struct {
	head []string // above it
	line string   // behind it
	foot []string // below the last entry of a block
}

func mapping() *node { return &node{kind: document.Mapping} }

// get returns the entry of a key, which it appends when there is none.
func (n *node) get(key string) *entry {
	if i := slices.IndexFunc(n.entries, func(e *entry) bool { return e.key == key }); i >= 0 {
		return n.entries[i]
	}
	e := &entry{key: key, value: mapping()}
	n.entries = append(n.entries, e)
	return e
}

// Convert writes a file in another form. It reports what is wrong with the
// file, which is not converted then, and warns of comments that are lost.
func Convert(src []byte, name string, from, to schema.Form) ([]byte, diag.Diagnostics) {
	_, diags := parse(src, name, from)
	if diags.HasErrors() {
		return nil, diags
	}
	var root *node
	var lost []int // lines of comments
	switch from {
	case schema.HCL:
		var more diag.Diagnostics
		if root, lost, more = readHCL(src, name); more.HasErrors() {
			return nil, append(diags, more...)
		}
	case schema.YAML:
		root, lost = readYAML(src, name)
	case schema.JSON:
		tree, _ := document.ParseJSON(src, name)
		root = mapping()
		root.merge(tree)
	}
	out, err := root.write(to)
	if err == nil {
		if _, again := parse(out, "the converted file", to); again.HasErrors() {
			err = again
		}
	}
	if err != nil {
		diags.Errorf("File not converted", "%s has something that cannot be written as %s: %s. Simplify its expressions, or write the file by hand.", name, to, diag.OneLine(err))
		return nil, diags
	}
	if to == schema.JSON {
		lost = root.commentLines(lost)
	}
	if len(lost) > 0 {
		diags = append(diags, lostComments(name, to, lost))
	}
	return out, diags
}

func parse(src []byte, name string, form schema.Form) (*schema.File, diag.Diagnostics) {
	switch form {
	case schema.YAML:
		return schema.ParseYAML(src, name, "file")
	case schema.JSON:
		return schema.ParseJSON(src, name, "file")
	default:
		return schema.ParseHCL(src, name, "file")
	}
}

func (n *node) write(to schema.Form) ([]byte, error) {
	switch to {
	case schema.YAML:
		return writeYAML(n)
	case schema.JSON:
		return writeJSON(n), nil
	default:
		return writeHCL(n)
	}
}

// unknownLine stands for the line of a comment that belongs to an entry.
const unknownLine = 0

// commentLines adds the comments of all entries to those that are lost.
func (n *node) commentLines(lost []int) []int {
	for _, i := range n.items {
		lost = i.commentLines(lost)
	}
	for _, e := range n.entries {
		all := len(e.comments.head) + len(e.comments.foot)
		if e.comments.line != "" {
			all++
		}
		for range all {
			lost = append(lost, unknownLine)
		}
		lost = e.value.commentLines(lost)
	}
	return lost
}

func lostComments(name string, to schema.Form, lines []int) *diag.Diagnostic {
	var known []string
	for _, l := range lines {
		if l != unknownLine {
			known = append(known, fmt.Sprint(l))
		}
	}
	why := "They belong to no attribute and to no block that has any"
	if to == schema.JSON {
		why = "JSON has no comments"
	}
	where := ""
	if len(known) > 0 && to != schema.JSON {
		where = ", line " + strings.Join(known, ", ")
	}
	number := fmt.Sprintf("%d lines of comments", len(lines))
	if len(lines) == 1 {
		number = "One line of comments"
	}
	return &diag.Diagnostic{
		Severity: diag.Warning, Summary: "Comments lost", Range: &diag.Range{File: name},
		Detail: fmt.Sprintf("Missing in the result: %s%s. %s.", number, where, why),
	}
}

// merge adds the entries of a document: those of several documents of a file
// are one.
func (n *node) merge(tree *document.Node) {
	if tree == nil {
		return
	}
	for _, e := range tree.Entries {
		value := fromDocument(e.Value)
		at := n.get(e.Key)
		if value.kind != document.Mapping || len(at.value.entries) == 0 {
			at.value = value
			continue
		}
		at.value.entries = append(at.value.entries, value.entries...)
	}
}

func fromDocument(tree *document.Node) *node {
	n := &node{kind: tree.Kind, text: tree.Text}
	for _, i := range tree.Items {
		n.items = append(n.items, fromDocument(i))
	}
	for _, e := range tree.Entries {
		n.entries = append(n.entries, &entry{key: e.Key, value: fromDocument(e.Value)})
	}
	return n
}
