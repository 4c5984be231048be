package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// rules are the policies that count on a host. Each must permit a request.
type rules struct {
	label, variable []grant
	limits          []limit
	required        []named
	forbidden       []named
}

type grant struct {
	policy *schema.Policy
	*schema.Grant
}

type limit struct {
	policy *schema.Policy
	*schema.Limit
}

// named is a profile, or a pattern of profiles, where a policy names it.
type named struct {
	policy *schema.Policy
	schema.Reference
}

// newRules puts the host's policies together. For what none of them says, the
// built-in policy counts: labels, variables, and the limits of each attribute. It
// goes on to say what labels may set until one of the host's does, by allow: one
// more denial must not open what reaches the host.
func newRules(host []*schema.Policy) *rules {
	r := &rules{}
	limited := map[*schema.Attribute]bool{}
	for _, p := range host {
		r.add(p)
		for _, l := range p.Limits {
			limited[l.Attribute] = true
		}
	}
	labels := slices.ContainsFunc(r.label, func(g grant) bool { return g.Allow != nil })
	variables := len(r.variable) > 0
	for _, p := range builtinPolicies() {
		rest := *p
		rest.Limits = nil
		for _, l := range p.Limits {
			if !limited[l.Attribute] {
				rest.Limits = append(rest.Limits, l)
			}
		}
		if labels {
			rest.Label = nil
		}
		if variables {
			rest.Variable = nil
		}
		r.add(&rest)
	}
	return r
}

func (r *rules) add(p *schema.Policy) {
	if p.Label != nil {
		r.label = append(r.label, grant{p, p.Label})
	}
	if p.Variable != nil {
		r.variable = append(r.variable, grant{p, p.Variable})
	}
	for _, l := range p.Limits {
		r.limits = append(r.limits, limit{p, l})
	}
	for _, ref := range p.Required {
		r.required = append(r.required, named{p, ref})
	}
	for _, ref := range p.Forbidden {
		r.forbidden = append(r.forbidden, named{p, ref})
	}
}

// grants are those that bind an asker.
func (r *rules) grants(by asker) []grant {
	if by.image {
		return r.label
	}
	return r.variable
}

// refusal says why an asker may not set an attribute, or a module's variable:
// "machine.cpus", "var.tier". It is empty when every policy permits it.
func (r *rules) refusal(by asker, attribute string) string {
	for _, g := range r.grants(by) {
		if pattern, denied := schema.Matches(g.Deny, attribute); denied {
			return g.sentence(by, fmt.Sprintf("may not set %s", attribute), fmt.Sprintf("denies %q at %s", pattern.Name, pattern.Place))
		}
		if g.Allow == nil {
			continue
		}
		if _, allowed := schema.Matches(g.Allow, attribute); !allowed {
			return g.sentence(by, fmt.Sprintf("may not set %s", attribute), fmt.Sprintf("allows only %s at %s", patterns(g.Allow), g.Place))
		}
	}
	return ""
}

// refusalOfProfile is refusal for naming a profile.
func (r *rules) refusalOfProfile(by asker, name string) string {
	for _, g := range r.grants(by) {
		if g.Profiles == nil {
			continue
		}
		if _, allowed := schema.Matches(g.Profiles, name); !allowed {
			return g.sentence(by, fmt.Sprintf("may not name the profile %q", name), fmt.Sprintf("allows only %s at %s", patterns(g.Profiles), g.Place))
		}
	}
	return ""
}

// refusalOfInline is refusal for a whole document.
func (r *rules) refusalOfInline(by asker) string {
	for _, g := range r.grants(by) {
		if !g.Inline {
			return g.sentence(by, "may name profiles, not be one", fmt.Sprintf("has inline = false at %s", g.Place))
		}
	}
	return ""
}

// forbid says which rule forbids a profile on this host, or "".
func (r *rules) forbid(name string) string {
	for _, f := range r.forbidden {
		if name == DefaultName { // every machine begins with it
			continue
		}
		if _, match := schema.Matches([]schema.Reference{f.Reference}, name); match {
			return fmt.Sprintf("The policy %q of this host forbids the profile %q, by %q at %s.", f.policy.Name, name, f.Name, f.Place)
		}
	}
	return ""
}

func (g grant) sentence(by asker, what, rule string) string {
	return fmt.Sprintf("%s %s on this host: the policy %q %s.%s Leave it out, or have the policy of the host changed.", by, what, g.policy.Name, rule, by.note)
}

func patterns(list []schema.Reference) string {
	if len(list) == 0 {
		return "nothing"
	}
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = fmt.Sprintf("%q", r.Name)
	}
	return strings.Join(names, ", ")
}

// DeniedSummary is the summary of every refusal.
const DeniedSummary = "Denied by a policy"

func denied(place diag.Range, snippet *diag.Snippet, detail string) *diag.Diagnostic {
	return &diag.Diagnostic{Severity: diag.Error, Summary: DeniedSummary, Detail: detail, Range: &place, Snippet: snippet}
}
