package profiles

import (
	"maps"
	"slices"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// Entry is a profile that can be asked for.
type Entry struct {
	*schema.Declaration
	Builtin bool
}

// Entries lists all profiles by name, a built-in one before the host's own of
// the same name.
func (s *Set) Entries() []Entry {
	var all []Entry
	for _, name := range s.names() {
		all = append(all, s.Find(name)...)
	}
	return all
}

// Find lists the profiles of a name: the built-in one, then the host's.
func (s *Set) Find(name string) []Entry {
	var found []Entry
	if d := builtinProfile(name); d != nil {
		found = append(found, Entry{d, true})
	}
	if d := s.byName[name]; d != nil {
		found = append(found, Entry{d, false})
	}
	return found
}

// PatchEntry is a patch that may apply here.
type PatchEntry struct {
	*schema.Patch
	Builtin bool
}

// Patches lists the patches, built-in ones first, each kind by name.
func (s *Set) Patches() []PatchEntry {
	var all []PatchEntry
	for _, p := range builtinPatches() {
		all = append(all, PatchEntry{p, true})
	}
	for _, p := range s.patches {
		all = append(all, PatchEntry{p, false})
	}
	return all
}

// Builtins lists the built-in profiles by name.
func Builtins() []*schema.Declaration {
	var all []*schema.Declaration
	for _, name := range builtinNames() {
		all = append(all, builtinProfile(name))
	}
	return all
}

// Check reports what is wrong with the host's files whatever a container asks
// for: names that nobody has, circles, and values that cannot be.
func (s *Set) Check() diag.Diagnostics {
	r := &resolver{set: s, rules: newRules(nil), done: map[string]bool{}} // without a scope, it merges nothing
	r.mergeDefaults()
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		r.add(s.byName[name], diag.Range{}, nil)
	}
	for _, m := range s.modules {
		r.diags = append(r.diags, m.Check()...)
	}
	r.diags.Sort()
	return r.diags
}

// IsProfileFile tells, by its name, a file of profiles from what else is in
// their directory: hidden files, and what editors and package managers leave
// behind.
func IsProfileFile(name string) bool { return isProfile(name) }

// ProfileVariable names the profiles of a container, and InputPrefix begins the
// names of the variables that give values to those of the host's files.
const (
	ProfileVariable = profileVariable
	InputPrefix     = inputPrefix
)
