// Package diff compares two plans. The difference is a value, computed before
// anything is drawn: what was set otherwise first, then what follows from it.
// It is pure, as the engine is.
package diff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// Class is the least that must happen to a running machine for a change to
// take effect.
type Class string

// The classes, the mildest first.
const (
	// None is for what only explains the machine or says where its files are.
	None Class = "none"
	// Hot changes reach the machine while it runs.
	Hot Class = "hot"
	// Restart changes come with the next start: the plan is compiled anew at each
	// "docker start".
	Restart Class = "restart"
	// Recreate changes are of the container's own configuration, which is fixed
	// when it is created.
	Recreate Class = "recreate"
)

// Kind is what a change is a change of.
type Kind string

// The kinds, in the order in which changes are listed.
const (
	Attribute Kind = "attribute" // a value of the profile language
	Container Kind = "container" // the container's own configuration
	Host      Kind = "host"      // what is known of the host, or this program itself
	Derived   Kind = "derived"   // follows from changes of the other kinds
)

// Change is one difference.
type Change struct {
	// Path is an attribute's, or that of a value in the plan's JSON, where
	// elements of lists are named by what tells them apart: "machine.memory",
	// "oci.mounts[/kernel].source", "processes.qemu.argv[-m]".
	Path string `json:"path"`
	// Old and New are JSON values, nil where there was or is none.
	Old   any   `json:"old"`
	New   any   `json:"new"`
	Class Class `json:"class"`
	Kind  Kind  `json:"kind"`
	// Cause says for people what brought the change about: the place in a
	// profile, a flag of docker, something of the host.
	Cause string `json:"cause"`
	// Because lists the paths of the changes that a derived one follows from.
	Because []string `json:"because,omitempty"`
}

// Diff returns what changes from one plan to the other: attributes first, then
// what the container and the host bring, then what follows from these. Within a
// kind, changes stand in the order of the plan. A change of class None is no
// difference of the machine: see Differs.
func Diff(before, after *plan.Plan) ([]Change, error) {
	changes := attributes(before.Origins, after.Origins)
	values, err := changedValues(before, after)
	if err != nil {
		return nil, err
	}
	changes = append(changes, attribute(changes, values)...)
	changes = append(changes, explanations(before, after)...)
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.Kind.order(), b.Kind.order()) })
	return changes, nil
}

// Differs says whether any of the changes is one of the machine.
func Differs(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Class != None })
}

// Strongest is the class of the change that needs most; None without changes.
func Strongest(changes []Change) Class {
	strongest := None
	for _, c := range changes {
		strongest = stronger(strongest, c.Class)
	}
	return strongest
}

func (k Kind) order() int { return slices.Index([]Kind{Attribute, Container, Host, Derived}, k) }

// stronger returns the class that needs more.
func stronger(a, b Class) Class {
	order := []Class{None, Hot, Restart, Recreate}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// changedValues compares the plans as JSON, which has everything that a plan
// has, also what this package does not know of.
func changedValues(before, after *plan.Plan) ([]Change, error) {
	a, err := flatten(before)
	if err != nil {
		return nil, err
	}
	b, err := flatten(after)
	if err != nil {
		return nil, err
	}
	return a.compare(b), nil
}

// explanations compares what a plan says about itself.
func explanations(before, after *plan.Plan) []Change {
	var changes []Change
	if !slices.Equal(before.Profiles, after.Profiles) {
		changes = append(changes, Change{
			Path: "profiles", Old: strings.Join(before.Profiles, ", "), New: strings.Join(after.Profiles, ", "),
			Class: None, Kind: Host, Cause: "which profiles are merged",
		})
	}
	changes = append(changes, notes("patches", "whether the patch applies", patchNotes(before), patchNotes(after))...)
	return append(changes, notes("warnings", "what the machine does not honour as asked", warningNotes(before), warningNotes(after))...)
}

// note is something that a plan says about itself.
type note struct{ name, text string }

func patchNotes(p *plan.Plan) []note {
	var list []note
	for _, patch := range p.Patches {
		list = append(list, note{patch.Name, fmt.Sprintf("%s sets %s: %s %s", patch.Where, strings.Join(patch.Attributes, ", "), patch.Reason, patch.Upstream)})
	}
	return numbered(list)
}

// warningNotes are named by the summaries: details hold what was measured.
func warningNotes(p *plan.Plan) []note {
	var list []note
	for _, w := range p.Warnings {
		list = append(list, note{w.Summary, w.Detail})
	}
	return numbered(list)
}

// numbered numbers names that occur twice.
func numbered(list []note) []note {
	seen := map[string]int{}
	for i, n := range list {
		if seen[n.name]++; seen[n.name] > 1 {
			list[i].name = fmt.Sprintf("%s #%d", n.name, seen[n.name])
		}
	}
	return list
}

func notes(section, cause string, before, after []note) []Change {
	var changes []Change
	report := func(old, new any, name string) {
		changes = append(changes, Change{Path: section + "[" + name + "]", Old: old, New: new, Class: None, Kind: Derived, Cause: cause})
	}
	for _, n := range before {
		if !slices.ContainsFunc(after, func(o note) bool { return o.name == n.name }) {
			report(n.text, nil, n.name)
		}
	}
	for _, n := range after {
		i := slices.IndexFunc(before, func(o note) bool { return o.name == n.name })
		switch {
		case i < 0:
			report(nil, n.text, n.name)
		case before[i].text != n.text:
			report(before[i].text, n.text, n.name)
		}
	}
	return changes
}

// Text renders a change's value on one line, for people: strings as they are,
// what is more as JSON, nothing as "(none)".
func Text(value any) string {
	switch v := value.(type) {
	case nil:
		return "(none)"
	case string:
		if v == "" {
			return `""`
		}
		return strings.Map(visible, v)
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(data)
	}
}

// visible keeps values from drawing on the terminal.
func visible(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '�'
	}
	return r
}
