package schema

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/runcvm/runcvm/schema/units"
)

// Type is the type of an attribute's value in the profile language.
type Type string

// The types.
const (
	TypeBool     Type = "bool"
	TypeInt      Type = "whole number"
	TypeString   Type = "string"
	TypeBytes    Type = "size"     // a string such as "512M"
	TypeDuration Type = "duration" // a string such as "60s"
	TypeStrings  Type = "list of strings"
)

// Attribute is a row of the language's table. Decoding, validation and the
// reference documentation read it; nothing else says what the language has.
type Attribute struct {
	Block string
	Name  string
	// Label is the name of the block that the attribute stands in, for blocks of
	// which a profile has several: disk "data". In the table it is AnyLabel.
	Label string
	// Doc is for the reference: sentences that give units and effect.
	Doc string
	// Rules are go-playground/validator rules for the decoded value. A "oneof"
	// rule makes the attribute a choice, or each element of a list.
	Rules string
	// Reference is the expression variable that a docker flag sets for this
	// attribute, and Flag that flag. The flag wins over a value that was not
	// made from the reference.
	Reference, Flag string
	// Variable is the environment variable that sets the attribute for one
	// container; without a name in the table it is RUNCVM_BLOCK_NAME. Aliases are
	// further names of it.
	Variable string
	Aliases  []string
	// Preset is the value in a labelled block that does not set it, of the key's Go
	// type; nil where a block has to set it, or where no value means something.
	Preset any
	// Type follows from the key's Go type.
	Type Type

	index  int      // in table; that of its row for an attribute of a labelled block
	choice []string // the values of an attribute that is a choice, else nil
}

// Path is the attribute's name in messages and in a plan: "machine.cpus", or
// "disk.data.size" in a labelled block. A row of the table has no label in it.
func (a *Attribute) Path() string {
	if a.Label == "" || a.Label == AnyLabel {
		return a.Block + "." + a.Name
	}
	return a.Block + "." + a.Label + "." + a.Name
}

// RowPath is the path of the attribute's row in the table, by which policies
// speak of it: "disk.size" for that of every disk.
func (a *Attribute) RowPath() string { return a.Block + "." + a.Name }

// AnyLabel is the label of the rows of labelled blocks.
const AnyLabel = "*"

// Labelled says whether the attribute is the row of a labelled block: a profile
// has it in each block of the type, see In.
func (a *Attribute) Labelled() bool { return a.Label == AnyLabel }

// instances are the attributes that In has made, one for each row and label.
var instances sync.Map

// In returns the attribute in the block with that label. It is the same one for
// the same label.
func (a *Attribute) In(label string) *Attribute {
	type key struct {
		row   *Attribute
		label string
	}
	if found, ok := instances.Load(key{a, label}); ok {
		return found.(*Attribute)
	}
	made := *a
	made.Label, made.Variable, made.Aliases = label, "", nil
	found, _ := instances.LoadOrStore(key{a, label}, &made)
	return found.(*Attribute)
}

// value lists the Go types of attributes.
type value interface {
	bool | int | string | units.Bytes | time.Duration | []string
}

// Key reads one attribute of a Profile as its Go type.
type Key[T value] struct{ *Attribute }

// Of returns the attribute's value in p, the zero value when p does not set it.
func (k Key[T]) Of(p *Profile) T {
	v, _ := p.entries[k.index].value.(T)
	return v
}

// In returns the attribute's value in the block with that label, the table's
// preset when p does not set it.
func (k Key[T]) In(p *Profile, label string) T {
	if v, ok := p.Value(k.Attribute.In(label)).(T); ok {
		return v
	}
	v, _ := k.Preset.(T)
	return v
}

// table is filled while the package is initialized, by attr.
var table []*Attribute

// Attributes lists the language's attributes in the order of the reference.
func Attributes() []*Attribute { return table }

func attr[T value](a Attribute) Key[T] {
	var zero T
	switch any(zero).(type) {
	case bool:
		a.Type = TypeBool
	case int:
		a.Type = TypeInt
	case string:
		a.Type = TypeString
	case units.Bytes:
		a.Type = TypeBytes
	case time.Duration:
		a.Type = TypeDuration
	case []string:
		a.Type = TypeStrings
	}
	for rule := range strings.SplitSeq(a.Rules, ",") { // of a list, its elements
		if list, ok := strings.CutPrefix(rule, "oneof="); ok {
			a.choice = strings.Fields(list)
		}
	}
	for _, other := range table {
		if other.Block == a.Block && other.Name == a.Name {
			panic(fmt.Sprintf("schema: attribute %s is in the table twice", a.Path()))
		}
		if other.Block == a.Block && table[len(table)-1].Block != a.Block {
			panic(fmt.Sprintf("schema: attribute %s stands apart from its block in the table", a.Path()))
		}
	}
	a.index = len(table)
	row := &a
	if a.Variable == "" && !a.Labelled() {
		a.Variable = variableOf(row)
	}
	table = append(table, row)
	return Key[T]{row}
}

// find returns the row of an attribute, or nil.
func find(block, name string) *Attribute {
	for _, a := range table {
		if a.Block == block && a.Name == name {
			return a
		}
	}
	return nil
}

// blocks lists the blocks of a profile in the order of the reference.
func blocks() []string {
	var names []string
	for _, a := range table {
		if len(names) == 0 || names[len(names)-1] != a.Block {
			names = append(names, a.Block)
		}
	}
	return names
}

// isLabelled says whether a profile has several blocks of the type, each with a
// label.
func isLabelled(block string) bool {
	for _, a := range table {
		if a.Block == block {
			return a.Labelled()
		}
	}
	return false
}

// attributesOf lists the names of a block's attributes.
func attributesOf(block string) []string {
	var names []string
	for _, a := range table {
		if a.Block == block {
			names = append(names, a.Name)
		}
	}
	return names
}

// ordered says whether values of the attribute can be compared: a policy may
// limit it.
func (a *Attribute) ordered() bool {
	return a.Type == TypeInt || a.Type == TypeBytes || a.Type == TypeDuration
}

func orderedAttributes() []string {
	var names []string
	for _, a := range table {
		if a.ordered() {
			names = append(names, a.Path())
		}
	}
	return names
}
