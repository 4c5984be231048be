// Package catalogue knows distributions: how an image is recognised, and where
// it keeps its kernel. What it knows stands in *.hcl beside this file, a
// distribution each.
package catalogue

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/runcvm/runcvm/engine/plan"
)

// Distribution is an entry.
type Distribution struct {
	// Name is that of its folder below PREFIX/kernels, and the attribute
	// kernel.distribution's.
	Name  string
	Title string // for people
	// IDs are the values of ID and ID_LIKE in os-release(5) that stand for it.
	IDs []string
	// Default makes its kernel that of images that are not recognised. One entry
	// has it.
	Default bool
	// Places is where an image has its kernel.
	Places plan.KernelPlaces
	// Arguments are words for the command line of its kernel.
	Arguments []string
}

//go:embed *.hcl
var files embed.FS

// all parses the embedded files once. A mistake in them is a programmer's.
var all = sync.OnceValue(func() []Distribution {
	list, diags := Parse(files)
	if diags.HasErrors() {
		panic("catalogue: " + diags.Error())
	}
	return list
})

// All returns the entries, sorted by name.
func All() []Distribution { return slices.Clone(all()) }

// Find returns the entry of that name.
func Find(name string) (Distribution, bool) {
	return first(func(d Distribution) bool { return d.Name == name })
}

// Default returns the entry whose kernel is the default.
func Default() Distribution {
	d, ok := first(func(d Distribution) bool { return d.Default })
	if !ok {
		panic("catalogue: no distribution is the default")
	}
	return d
}

// ByID returns the entry that a word of ID or ID_LIKE stands for.
func ByID(id string) (Distribution, bool) {
	return first(func(d Distribution) bool { return slices.Contains(d.IDs, id) })
}

func first(ok func(Distribution) bool) (Distribution, bool) {
	if i := slices.IndexFunc(all(), ok); i >= 0 {
		return all()[i], true
	}
	return Distribution{}, false
}

// Places returns where to look for the kernel of an image whose os-release has
// the ID id and the ID_LIKE like: where the first of them that is known keeps
// it, or where any distribution does when none is known.
func Places(id string, like []string) []plan.KernelPlaces {
	for _, word := range append([]string{id}, like...) {
		if d, ok := ByID(word); ok {
			return []plan.KernelPlaces{d.Places}
		}
	}
	var list []plan.KernelPlaces
	for _, d := range all() {
		list = append(list, d.Places)
	}
	return list
}

// String gives name and title.
func (d Distribution) String() string {
	return fmt.Sprintf("%s (%s)", d.Name, strings.TrimSpace(d.Title))
}
