package profiles

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// inputs are the values for modules' variables that are asked for and
// permitted. Docker's name for one may stand for several: RUNCVM_VAR_A_B for
// "a-b" and "a_b".
func (r *resolver) inputs() []schema.Input {
	declared := r.variables()
	var inputs []schema.Input
	for _, in := range r.asked.inputs {
		place := diag.Range{File: in.place}
		if len(in.value) > schema.MaxVariable {
			r.diags = append(r.diags, &diag.Diagnostic{
				Severity: diag.Error, Summary: "Value too long", Range: &place,
				Detail: fmt.Sprintf("%s has %d bytes; a value has at most %d.", in.asker, len(in.value), schema.MaxVariable),
			})
			continue
		}
		known := false
		for _, v := range declared {
			if !in.matches(v.Name) {
				continue
			}
			known = true
			input := schema.Input{Name: v.Name, Value: in.value, Where: in.place}
			if !r.permitted(in.asker, "var."+v.Name, place, nil) {
				continue
			}
			if wrong := v.Check(input); wrong != nil {
				r.diags = append(r.diags, wrong)
				continue
			}
			inputs = append(inputs, input)
		}
		if !known {
			r.diags = append(r.diags, unknownInput(in, declared, place))
		}
	}
	return inputs
}

// variables lists those of the host's files and of inline documents.
func (r *resolver) variables() []*schema.Variable {
	var all []*schema.Variable
	for _, m := range r.set.modules {
		all = append(all, m.Variables()...)
	}
	for _, s := range r.asked.selections {
		if s.module != nil {
			all = append(all, s.module.Variables()...)
		}
	}
	return all
}

func unknownInput(in askedInput, declared []*schema.Variable, place diag.Range) *diag.Diagnostic {
	var known []string
	for _, v := range declared {
		known = append(known, v.Name)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	hint := diag.DidYouMean(in.name, known)
	switch {
	case hint != "":
	case len(known) == 0:
		hint = " No profile here declares a variable."
	default:
		hint = " The variables here are " + diag.List(known) + "."
	}
	return &diag.Diagnostic{
		Severity: diag.Error, Summary: "Unknown variable", Range: &place,
		Detail: fmt.Sprintf("%s gives a value for the variable %q of the profiles, which none of them declares.%s", in.asker, clipped(strings.ToLower(in.name)), hint),
	}
}

// mergeRequired merges the profiles that policies require after all that was
// asked for, so that nothing undoes them.
func (r *resolver) mergeRequired() {
	for _, required := range r.rules.required {
		d := r.lookup(required.Name)
		if d == nil {
			known := r.set.names()
			place := required.Place
			r.diags = append(r.diags, &diag.Diagnostic{
				Severity: diag.Error, Summary: "Unknown profile", Range: &place, Snippet: required.policy.Snippet(place),
				Detail: fmt.Sprintf("The policy %q requires the profile %q, which does not exist.%s The profiles here are %s.", required.policy.Name, required.Name, diag.DidYouMean(required.Name, known), diag.List(known)),
			})
			continue
		}
		before := r.profile.Clone()
		r.done = map[string]bool{DefaultName: true}
		r.add(d, required.Place, required.policy.Snippet(required.Place))
		r.warnOfRequired(required, before)
	}
}

// warnOfRequired says which values a required profile has replaced that were
// asked for.
func (r *resolver) warnOfRequired(required named, before *schema.Profile) {
	for _, a := range r.profile.Attributes() {
		was, is := before.Origin(a), r.profile.Origin(a)
		if before.Value(a) == nil || was.Kind == "builtin" || was.Where == is.Where || reflect.DeepEqual(before.Value(a), r.profile.Value(a)) {
			continue
		}
		r.warn("Value required by a policy", "%s is %s by %s, and the policy %q requires the profile %q at %s, which has %s.",
			a.Path(), was.Value, was.Where, required.policy.Name, required.Name, required.Place, is.Value)
	}
}

// applyLimits brings values within the bounds of policies.
func (r *resolver) applyLimits() {
	for _, l := range r.rules.limits {
		excesses, diags := l.policy.Excess(l.Limit, r.profile, r.scope)
		r.diags = append(r.diags, diags...)
		for _, excess := range excesses {
			r.applyLimit(l, excess)
		}
	}
}

func (r *resolver) applyLimit(l limit, excess *schema.Excess) {
	word := "most"
	if excess.Least {
		word = "least"
	}
	rule := fmt.Sprintf("the policy %q allows at %s %s at %s", l.policy.Name, word, excess.Bound, l.Place)
	a := excess.Setting.Attribute
	if l.Deny {
		f := r.found[a]
		r.diags = append(r.diags, denied(f.place, f.snippet, fmt.Sprintf("%s is %s, and %s. Ask for a value within the limit.", a.Path(), excess.Value, rule)))
		return
	}
	r.warn("Limited by a policy", "%s is %s by %s, and %s. The machine gets %s.",
		a.Path(), excess.Value, r.profile.Origin(a).Where, rule, excess.Bound)
	r.profile.Set(excess.Setting)
}

// applyPatches applies the patches whose condition holds: the built-in ones,
// then the host's, each in the order of names. A patch of the host stands in the
// place of a built-in one of the same name.
func (r *resolver) applyPatches() {
	for _, p := range builtinPatches() {
		if !slices.ContainsFunc(r.set.patches, func(own *schema.Patch) bool { return own.Name == p.Name }) {
			r.applyPatch(p)
		}
	}
	for _, p := range r.set.patches {
		r.applyPatch(p)
	}
}

func (r *resolver) applyPatch(p *schema.Patch) {
	applies, diags := p.Applies(r.scope, r.profile)
	r.diags = append(r.diags, diags...)
	if !applies {
		return
	}
	settings, diags := p.Evaluate(r.scope, r.profile)
	r.diags = append(r.diags, diags...)
	applied := plan.Patch{Name: p.Name, Where: p.Place.String(), Reason: p.Reason, Upstream: p.Upstream}
	for _, s := range settings {
		r.profile.Set(s)
		applied.Attributes = append(applied.Attributes, s.Attribute.Path())
	}
	slices.Sort(applied.Attributes)
	r.profile.Patches = append(r.profile.Patches, applied)
}
