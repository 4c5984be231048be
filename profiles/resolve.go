package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// Label is the image label that names profiles.
const Label = "runcvm.profile"

// Request is what a container asks for.
type Request struct {
	// Label is the value of the image's label: names separated by commas.
	Label string
}

// Resolve merges the profiles that a container gets, later wins: the built-in
// default, the host's default, those that the label names, each after what it
// inherits, and docker's flags. Each profile takes part once, at its first
// place.
func Resolve(set *Set, request Request, variables schema.Variables) (*schema.Profile, diag.Diagnostics) {
	r := &resolver{set: set, profile: schema.NewProfile(), scope: schema.NewScope(variables), done: map[string]bool{}}
	r.mergeDefaults()
	for _, name := range strings.Split(request.Label, ",") {
		if name = strings.TrimSpace(name); name != "" {
			r.mergeLabel(name)
		}
	}
	for _, s := range schema.FromFlags(r.profile, variables) {
		r.profile.Set(s)
	}
	r.diags = append(r.diags, r.scope.Diagnostics()...)
	r.diags.Sort()
	return r.profile, r.diags
}

// resolver is the state of one merge.
type resolver struct {
	set     *Set
	profile *schema.Profile
	scope   *schema.Scope
	done    map[string]bool // merged
	path    []string        // being merged: a profile and those that inherit it
	diags   diag.Diagnostics
}

// mergeDefaults merges the two layers of the name "default".
func (r *resolver) mergeDefaults() {
	r.done[DefaultName] = true
	r.merge(builtins()[DefaultName])
	r.profile.Rebase()
	if d := r.set.byName[DefaultName]; d != nil {
		r.path = append(r.path, DefaultName)
		r.inherit(d)
		r.path = nil
		r.merge(d)
	}
}

func (r *resolver) mergeLabel(name string) {
	if r.done[name] {
		return
	}
	if d := r.lookup(name); d != nil {
		r.add(d)
		return
	}
	known := r.set.names()
	r.diags.Errorf("Unknown profile",
		"The image's label %s asks for the profile %q, which does not exist.%s The profiles here are %s; a host's own are in %s.",
		Label, name, diag.DidYouMean(name, known), diag.List(known), r.set.place())
}

// place is the directory's name for messages.
func (s *Set) place() string {
	if s.dir == "" {
		return HostDir
	}
	return s.dir
}

// lookup finds a profile: the host's, else the built-in one; nil when there is
// none.
func (r *resolver) lookup(name string) *schema.Declaration {
	if d := r.set.byName[name]; d != nil {
		return d
	}
	return builtins()[name]
}

// add merges a profile after what it inherits.
func (r *resolver) add(d *schema.Declaration) {
	if r.done[d.Name] {
		return
	}
	r.path = append(r.path, d.Name)
	r.inherit(d)
	r.path = r.path[:len(r.path)-1]
	r.done[d.Name] = true
	r.merge(d)
}

func (r *resolver) inherit(d *schema.Declaration) {
	for _, ref := range d.Inherits {
		// Everything stands upon "default" already, also the host's own default,
		// which means the built-in one by that name.
		if r.done[ref.Name] {
			continue
		}
		if i := slices.Index(r.path, ref.Name); i >= 0 {
			cycle := append(slices.Clone(r.path[i:]), ref.Name)
			r.report(d, ref, "Profiles inherit in a circle",
				fmt.Sprintf("Each of these profiles inherits the next: %s. Remove one of the steps.", strings.Join(cycle, " -> ")))
			continue
		}
		if parent := r.lookup(ref.Name); parent != nil {
			r.add(parent)
		} else {
			known := r.set.names()
			r.report(d, ref, "Unknown profile",
				fmt.Sprintf("There is no profile %q to inherit.%s The profiles here are %s.", ref.Name, diag.DidYouMean(ref.Name, known), diag.List(known)))
		}
	}
}

func (r *resolver) report(d *schema.Declaration, ref schema.Reference, summary, detail string) {
	place := ref.Place
	r.diags = append(r.diags, &diag.Diagnostic{
		Severity: diag.Error, Summary: summary, Detail: detail, Range: &place, Snippet: d.Snippet(place),
	})
}

func (r *resolver) merge(d *schema.Declaration) {
	settings, diags := d.Evaluate(r.scope)
	r.diags = append(r.diags, diags...)
	for _, s := range settings {
		r.profile.Set(s)
	}
	r.profile.Names = append(r.profile.Names, d.Name)
}
