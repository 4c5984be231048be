// Package document reads YAML and JSON into one small tree whose nodes know
// where they stand in the source, down to the single characters of a string. It
// knows the two notations and nothing of profiles.
package document

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Kind is what a node is.
type Kind int

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Mapping
)

// String names the kind in a sentence.
func (k Kind) String() string {
	return [...]string{"null", "a bool", "a number", "text", "a list", "a mapping"}[k]
}

// Node is a value.
type Node struct {
	Kind Kind
	// Range is the value in the source. What an alias stands for keeps the place
	// where it is written.
	Range hcl.Range
	// Text is a String's content, a Number in decimal, or a Bool.
	Text    string
	Items   []*Node // of a List
	Entries []Entry // of a Mapping: each key once

	source *source
	// offsets are the places in the source of Text's bytes and of its end; nil
	// when they are not known one by one.
	offsets []int
}

// Entry is a key and its value.
type Entry struct {
	Key      string
	KeyRange hcl.Range
	Value    *Node
}

// Get returns the value of a key, nil when there is none.
func (n *Node) Get(key string) *Node {
	for _, e := range n.Entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// maxDepth bounds nesting: profiles need five levels.
const maxDepth = 64

// reader collects what is wrong with a document while its tree is made.
type reader struct {
	source   *source
	reported map[problem]bool
	diags    diag.Diagnostics
}

type problem struct {
	at      int
	summary string
}

func newReader(s *source) reader { return reader{source: s, reported: map[problem]bool{}} }

// report adds an error. What an alias repeats is wrong once.
func (r *reader) report(at hcl.Range, summary, format string, args ...any) {
	p := problem{at.Start.Byte, summary}
	if r.reported[p] {
		return
	}
	r.reported[p] = true
	r.diags = append(r.diags, hcldiag.At(r.source.text, at, "", summary, fmt.Sprintf(format, args...)))
}

func (r *reader) tooDeep(at hcl.Range) {
	r.report(at, "Nested too deeply", "This document has mappings and lists inside of each other in more than %d levels; a profile needs five.", maxDepth)
}

// entries collects those of one mapping.
type entries struct {
	list []Entry
	seen map[string]hcl.Range
}

// add appends an entry whose key must be new, and tells both places otherwise.
func (e *entries) add(r *reader, entry Entry) {
	if e.seen == nil {
		e.seen = map[string]hcl.Range{}
	}
	if first, again := e.seen[entry.Key]; again {
		r.report(entry.KeyRange, "Duplicate key",
			"The key %q is in this mapping already, at %s. Only one of them can count: remove one, or put their contents together.", entry.Key, hcldiag.Range(first))
		return
	}
	e.seen[entry.Key] = entry.KeyRange
	e.list = append(e.list, entry)
}
