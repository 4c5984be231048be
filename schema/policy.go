package schema

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Policy says what images and variables may ask for on a host, and bounds every
// machine.
type Policy struct {
	Name        string
	Description string
	Place       diag.Range // of the name

	// Label and Variable are what an image's label and the container's RUNCVM_*
	// variables may ask for; nil where the policy does not say.
	Label, Variable *Grant
	Limits          []*Limit
	// Required profiles are merged into every machine, and forbidden ones into
	// none. Patterns are those of path.Match.
	Required, Forbidden []Reference

	body // of the limits' expressions
}

// Grant is what a source may ask for.
type Grant struct {
	Place diag.Range // of the block
	// Allow and Deny are patterns of attributes ("machine.*"); what Deny matches
	// is denied, also where Allow matches it. Without Allow everything is allowed; of
	// images that the built-in policy lets them ask for.
	Allow, Deny []Reference
	// Profiles are patterns of the profiles that may be named; nil allows all.
	Profiles []Reference
	// Inline is whether a whole profile may be given instead of a name.
	Inline bool
}

// Limit bounds an attribute of every machine.
type Limit struct {
	Attribute *Attribute
	Place     diag.Range // of the name
	// Deny makes a request beyond the limit an error; else the value is clamped,
	// with a warning.
	Deny bool

	min, max hclsyntax.Expression // nil when there is no such bound
}

const (
	blockLabel = "label"
	blockLimit = "limit"
)

var (
	policyAttributes = []string{"description", "required_profiles", "forbidden_profiles"}
	policyBlocks     = []string{blockLabel, blockVariable, blockLimit}
	grantAttributes  = []string{"allow", "deny", "profiles", "inline"}
	limitAttributes  = []string{"min", "max", "action"}
	limitActions     = []string{"clamp", "deny"}
)

func (p *parser) parsePolicy(b *hclsyntax.Block) *Policy {
	p.roots = policyRoots
	name, ok := p.name(b)
	if !ok {
		return nil
	}
	d := &Policy{Name: name.Name, Place: name.Place, body: body{file: p.file, context: p.context}}
	for _, a := range sorted(b.Body.Attributes) {
		switch a.Name {
		case "description":
			d.Description = p.text(a)
		case "required_profiles":
			d.Required = p.names(a, "secure")
		case "forbidden_profiles":
			d.Forbidden = p.patterns(a, "legacy-*")
		default:
			p.unsupported(a, b.Type, policyAttributes)
		}
	}
	for _, inner := range b.Body.Blocks {
		switch inner.Type {
		case blockLabel:
			p.parseGrant(&d.Label, inner)
		case blockVariable:
			p.parseGrant(&d.Variable, inner)
		case blockLimit:
			p.parseLimit(d, inner)
		default:
			p.errorf(inner.TypeRange, "Unsupported block", "A policy has no block %q.%s Its blocks are %s.", inner.Type, diag.DidYouMean(inner.Type, policyBlocks), diag.List(policyBlocks))
		}
	}
	return d
}

func (p *parser) parseGrant(into **Grant, b *hclsyntax.Block) {
	if *into != nil {
		p.errorf(b.TypeRange, "Duplicate block", "A policy has each block once. The first %s block is on line %d: put its attributes together.", b.Type, (*into).Place.Start.Line)
		return
	}
	g := &Grant{Place: hcldiag.Range(b.TypeRange), Inline: true}
	*into = g
	p.noLabels(b)
	p.noBlocks(b, grantAttributes)
	for _, a := range sorted(b.Body.Attributes) {
		switch a.Name {
		case "allow":
			g.Allow = notNil(p.attributePatterns(a))
		case "deny":
			g.Deny = p.attributePatterns(a)
		case "profiles":
			g.Profiles = notNil(p.patterns(a, "web-*"))
		case "inline":
			g.Inline = p.boolean(a)
		default:
			p.unsupported(a, b.Type+" block", grantAttributes)
		}
	}
}

// notNil tells an empty list, which matches nothing, from none.
func notNil(list []Reference) []Reference {
	if list == nil {
		return []Reference{}
	}
	return list
}

// patterns reads a list of path.Match patterns.
func (p *parser) patterns(a *hclsyntax.Attribute, example string) []Reference {
	list := p.names(a, example)
	for _, r := range list {
		if _, err := path.Match(r.Name, ""); err != nil {
			p.report(r.Place, "Invalid pattern", "%q is not a pattern: %v. A * stands for any text, a ? for one character, [a-z] for one of several.", r.Name, err)
		}
	}
	return list
}

// attributePatterns reads a list of patterns, each of which matches an
// attribute or names a variable: "var.tier".
func (p *parser) attributePatterns(a *hclsyntax.Attribute) []Reference {
	list := p.patterns(a, "machine.*")
	for _, r := range list {
		if strings.HasPrefix(r.Name, "var.") || slices.ContainsFunc(table, func(row *Attribute) bool { return matches(r.Name, row.Path()) }) {
			continue
		}
		var known []string
		for _, row := range table {
			known = append(known, row.Path())
		}
		hint := cmp.Or(rowHint(r.Name), diag.DidYouMean(r.Name, known))
		if slices.Contains(blocks(), r.Name) {
			hint = fmt.Sprintf(" Write %q for all of the block.", r.Name+".*")
		}
		p.report(r.Place, "Unknown attribute", "No attribute matches %q.%s", r.Name, hint)
	}
	return list
}

// rowHint helps with a pattern that names one labelled block: policies are about
// an attribute in all of them, whose names those choose who are asked about.
func rowHint(pattern string) string {
	parts := strings.Split(pattern, ".")
	if len(parts) != 3 || !isLabelled(parts[0]) {
		return ""
	}
	return fmt.Sprintf(" A policy speaks of all %s blocks at once, whatever their names are: %q.", parts[0], parts[0]+"."+parts[2])
}

func (p *parser) report(at diag.Range, summary, format string, args ...any) {
	p.diags = append(p.diags, &diag.Diagnostic{
		Severity: diag.Error, Summary: summary, Detail: fmt.Sprintf(format, args...),
		Range: &at, Snippet: p.file.Snippet(at, p.context),
	})
}

func (p *parser) parseLimit(d *Policy, b *hclsyntax.Block) {
	if len(b.Labels) != 1 {
		p.errorf(b.DefRange(), "Block without a name", "A limit names one attribute, in quotes: %s. This one names %d.", p.file.form.block("...", blockLimit, `"machine.memory"`), len(b.Labels))
		return
	}
	block, name, _ := strings.Cut(b.Labels[0], ".")
	l := &Limit{Attribute: find(block, name), Place: hcldiag.Range(b.LabelRanges[0])}
	if l.Attribute == nil || !l.Attribute.ordered() {
		p.errorf(b.LabelRanges[0], "Not an attribute with a limit", "A limit bounds a number, a size or a duration; %q is none.%s These are %s.", b.Labels[0], cmp.Or(rowHint(b.Labels[0]), diag.DidYouMean(b.Labels[0], orderedAttributes())), diag.List(orderedAttributes()))
		return
	}
	for _, other := range d.Limits {
		if other.Attribute == l.Attribute {
			p.errorf(b.LabelRanges[0], "Duplicate limit", "The policy limits %s on line %d already: put the bounds together.", l.Attribute.Path(), other.Place.Start.Line)
			return
		}
	}
	p.noBlocks(b, limitAttributes)
	valid := true
	for _, a := range sorted(b.Body.Attributes) {
		switch a.Name {
		case "min":
			l.min = a.Expr
			valid = p.checkReferences(a.Expr, l.Attribute) && valid
		case "max":
			l.max = a.Expr
			valid = p.checkReferences(a.Expr, l.Attribute) && valid
		case "action":
			l.Deny = p.choice(a, limitActions) == "deny"
		default:
			p.unsupported(a, b.Type, limitAttributes)
		}
	}
	if l.min == nil && l.max == nil {
		p.errorf(b.LabelRanges[0], "Limit without a bound", "The limit has neither a min nor a max: it bounds nothing. Write %s.", p.file.form.assign("max", "..."))
		return
	}
	if valid {
		d.Limits = append(d.Limits, l)
	}
}

// Bounds computes a limit of the policy; nil stands for no bound. Values have
// the attribute's Go type.
func (d *Policy) Bounds(l *Limit, scope *Scope) (low, high any, diags diag.Diagnostics) {
	for _, bound := range []struct {
		value hclsyntax.Expression
		into  *any
	}{{l.min, &low}, {l.max, &high}} {
		if bound.value == nil {
			continue
		}
		v, more := d.value(setting{l.Attribute, bound.value}, scope, nil)
		diags = append(diags, more...)
		*bound.into = v
	}
	return low, high, diags
}

// Matches says whether the patterns have one for name, and which.
func Matches(patterns []Reference, name string) (Reference, bool) {
	for _, r := range patterns {
		if matches(r.Name, name) {
			return r, true
		}
	}
	return Reference{}, false
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
