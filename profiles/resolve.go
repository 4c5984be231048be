package profiles

import (
	"fmt"
	"slices"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// Resolve merges the profiles that a container gets, later wins: the built-in
// default, the host's default, those that the image's label names or is, those
// of the variable RUNCVM_PROFILE, single variables, docker's flags, the profiles
// that policies require, limits of policies, and patches. Each profile comes
// after what it inherits and takes part once, at its first place.
//
// What a policy denies is an error at the place of the request. Requirements and
// limits change values instead, with a warning in the profile.
func Resolve(set *Set, request Request, variables schema.Variables) (*schema.Profile, diag.Diagnostics) {
	a := request.read()
	r := &resolver{
		set: set, rules: newRules(set.policies), asked: a,
		profile: schema.NewProfile(), done: map[string]bool{}, found: map[*schema.Attribute]found{},
		diags: a.diags,
	}
	r.scope = schema.NewScope(variables, r.inputs()...)
	r.mergeDefaults()
	for _, s := range a.selections {
		r.mergeSelection(s)
	}
	for _, s := range a.settings {
		r.setVariable(s)
	}
	for _, s := range schema.FromFlags(r.profile, variables) {
		r.apply(s, nil)
	}
	r.mergeRequired()
	r.applyLimits()
	r.applyPatches()
	r.diags = append(r.diags, r.scope.Diagnostics()...)
	r.diags = unique(r.diags)
	r.diags.Sort()
	return r.profile, r.diags
}

// resolver is the state of one merge.
type resolver struct {
	set     *Set
	rules   *rules
	asked   *asked
	profile *schema.Profile
	scope   *schema.Scope               // nil: only names are checked
	done    map[string]bool             // merged
	path    []string                    // being merged: a profile and those that inherit it
	found   map[*schema.Attribute]found // where each value stands
	diags   diag.Diagnostics
}

// found is where a value stands, for messages.
type found struct {
	place   diag.Range
	snippet *diag.Snippet
}

// apply gives the profile a value. The declaration is nil for one that no file
// has.
func (r *resolver) apply(s schema.Setting, in *schema.Declaration) {
	r.profile.Set(s)
	f := found{place: s.Place}
	if in != nil {
		f.snippet = in.Snippet(s.Place)
	}
	r.found[s.Attribute] = f
}

// mergeDefaults merges the two layers of the name "default".
func (r *resolver) mergeDefaults() {
	r.done[DefaultName] = true
	r.merge(builtinProfile(DefaultName))
	if r.profile != nil {
		r.profile.Rebase()
	}
	if d := r.set.byName[DefaultName]; d != nil {
		r.path = append(r.path, DefaultName)
		r.inherit(d)
		r.path = nil
		r.merge(d)
	}
}

// mergeSelection merges what a label or a variable asks for.
func (r *resolver) mergeSelection(s selection) {
	place := diag.Range{File: s.place}
	for _, name := range s.names {
		r.mergeNamed(s.asker, name, place, nil)
	}
	if s.document == nil {
		return
	}
	if why := r.rules.refusalOfInline(s.asker); why != "" {
		r.diags = append(r.diags, denied(place, nil, why))
		return
	}
	for _, d := range s.document.Profiles {
		for _, ref := range d.Inherits {
			r.mergeNamed(s.asker, ref.Name, ref.Place, d.Snippet(ref.Place))
		}
		settings, diags := d.Evaluate(r.scope)
		r.diags = append(r.diags, atMost(diags)...)
		for _, setting := range settings {
			if r.permitted(s.asker, setting.Attribute.RowPath(), setting.Place, d.Snippet(setting.Place)) {
				r.apply(setting, d)
			}
		}
		r.addName(d.Name)
	}
}

// mergeNamed merges a profile of the host or a built-in one that is asked for.
func (r *resolver) mergeNamed(by asker, name string, place diag.Range, snippet *diag.Snippet) {
	if name == DefaultName { // every machine has it
		return
	}
	if why := r.rules.refusalOfProfile(by, name); why != "" {
		r.diags = append(r.diags, denied(place, snippet, why))
		return
	}
	if r.done[name] {
		return
	}
	if d := r.lookup(name); d != nil {
		r.add(d, place, snippet)
		return
	}
	known := r.set.names()
	r.diags = append(r.diags, &diag.Diagnostic{
		Severity: diag.Error, Summary: "Unknown profile", Range: &place, Snippet: snippet,
		Detail: fmt.Sprintf("%s asks for the profile %q, which does not exist.%s The profiles here are %s; a host's own are in %s.",
			by, name, diag.DidYouMean(name, known), diag.List(known), r.set.place()),
	})
}

// setVariable gives the profile the value of a single variable.
func (r *resolver) setVariable(s askedSetting) {
	if r.permitted(s.asker, s.Attribute.RowPath(), s.Place, nil) {
		r.apply(s.Setting, nil)
	}
}

func (r *resolver) permitted(by asker, attribute string, place diag.Range, snippet *diag.Snippet) bool {
	why := r.rules.refusal(by, attribute)
	if why != "" {
		r.diags = append(r.diags, denied(place, snippet, why))
	}
	return why == ""
}

// lookup finds a profile: the host's, else the built-in one; nil when there is
// none.
func (r *resolver) lookup(name string) *schema.Declaration {
	if d := r.set.byName[name]; d != nil {
		return d
	}
	return builtinProfile(name)
}

// add merges a profile after what it inherits. The place is where it is asked
// for.
func (r *resolver) add(d *schema.Declaration, place diag.Range, snippet *diag.Snippet) {
	if r.done[d.Name] {
		return
	}
	if why := r.rules.forbid(d.Name); why != "" {
		r.diags = append(r.diags, denied(place, snippet, why))
		return
	}
	r.path = append(r.path, d.Name)
	r.inherit(d)
	r.path = r.path[:len(r.path)-1]
	r.done[d.Name] = true
	r.merge(d)
}

func (r *resolver) merge(d *schema.Declaration) {
	if r.scope == nil {
		return
	}
	settings, diags := d.Evaluate(r.scope)
	r.diags = append(r.diags, diags...)
	for _, s := range settings {
		r.apply(s, d)
	}
	r.addName(d.Name)
}

// addName notes that a profile took part. The name "default" stands for two
// layers.
func (r *resolver) addName(name string) {
	if name == DefaultName || !slices.Contains(r.profile.Names, name) {
		r.profile.Names = append(r.profile.Names, name)
	}
}

func (r *resolver) warn(summary, format string, args ...any) {
	r.profile.Warnings = append(r.profile.Warnings, plan.Warning{Summary: summary, Detail: fmt.Sprintf(format, args...)})
}

// unique drops what is said twice: an input may be wrong for several modules.
func unique(diags diag.Diagnostics) diag.Diagnostics {
	type key struct{ place, summary, detail string }
	seen := map[key]bool{}
	return slices.DeleteFunc(diags, func(d *diag.Diagnostic) bool {
		k := key{summary: d.Summary, detail: d.Detail}
		if d.Range != nil {
			k.place = d.Range.String()
		}
		again := seen[k]
		seen[k] = true
		return again
	})
}
