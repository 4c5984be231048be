package schema

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// checkReferences reports variables that do not exist, which HCL itself would
// report only when the expression is evaluated, and without a suggestion.
func (p *parser) checkReferences(a *Attribute, e hclsyntax.Expression) bool {
	valid := true
	for _, t := range e.Variables() {
		root := t.RootName()
		known, ok := members[root]
		if !ok {
			valid = false
			p.errorf(t.SourceRange(), "Unknown variable", "There is no variable %q.%s", root, rootHint(a, root, t))
			continue
		}
		if len(t) < 2 {
			valid = false
			p.errorf(t.SourceRange(), "Incomplete variable", "%q is a group of variables: write one of %s.", root, fullNames(root))
			continue
		}
		if step, ok := t[1].(hcl.TraverseAttr); !ok || !slices.Contains(known, step.Name) {
			valid = false
			name := ""
			if ok {
				name = step.Name
			}
			p.errorf(t.SourceRange(), "Unknown variable", "There is no variable %q.%s The variables of %q are %s.",
				root+"."+name, diag.DidYouMean(name, known), root, fullNames(root))
		}
	}
	return valid
}

func rootHint(a *Attribute, root string, t hcl.Traversal) string {
	if len(t) == 1 && (slices.Contains(a.choice, root) || a.choice == nil && a.Type == TypeString) {
		return " Text needs quotes: \"" + root + "\"."
	}
	if len(t) == 1 && a.Type == TypeBool {
		return " Write true or false."
	}
	roots := []string{"container", "host", "image"}
	if s := diag.DidYouMean(root, roots); s != "" {
		return s
	}
	return " Variables begin with \"container.\", \"host.\" or \"image.\"; text needs quotes."
}

func fullNames(root string) string {
	var names []string
	for _, m := range members[root] {
		names = append(names, root+"."+m)
	}
	return strings.Join(names, ", ")
}

// Evaluate computes the declaration's values. A value that is null is left out:
// the attribute keeps what it inherits. All mistakes are reported.
func (d *Declaration) Evaluate(scope *Scope) ([]Setting, diag.Diagnostics) {
	var diags diag.Diagnostics
	settings := make([]Setting, 0, len(d.settings))
	for _, s := range d.settings {
		uses := references(s.value)
		var context *hcl.EvalContext
		// A constant needs no context, unless it calls functions: then HCL asks for
		// them.
		if _, literal := s.value.(*hclsyntax.LiteralValueExpr); !literal {
			context = scope.evalContext()
		}
		v, problems := s.value.Value(context)
		if problems.HasErrors() {
			diags = append(diags, hcldiag.Convert(problems, d.file.source, d.context())...)
			continue
		}
		// What HCL could not parse is unknown here, and has been reported.
		if v.IsNull() || !v.IsWhollyKnown() {
			continue
		}
		value, m := s.attribute.decode(v)
		if m != nil {
			diags = append(diags, hcldiag.At(d.file.source, s.value.Range(), d.context(), m.summary, m.detail))
			continue
		}
		settings = append(settings, Setting{
			Attribute: s.attribute, Value: value, Uses: uses,
			Origin: plan.Origin{
				Kind:  d.file.kind,
				Where: hcldiag.Range(s.value.Range()).String(),
				Value: s.attribute.render(value),
			},
		})
	}
	return settings, diags
}

// references lists the variables of an expression: "container.cpus".
func references(e hclsyntax.Expression) []string {
	var names []string
	for _, t := range e.Variables() {
		if len(t) >= 2 {
			if step, ok := t[1].(hcl.TraverseAttr); ok {
				names = append(names, t.RootName()+"."+step.Name)
			}
		}
	}
	return names
}

// FromFlags returns what docker's flags set beside the profile p: a flag wins
// over a value that was not made from it, and is named as the origin of one
// that is just the flag's.
func FromFlags(p *Profile, v Variables) []Setting {
	var settings []Setting
	for _, a := range table {
		value := v.flag(a.Reference)
		if value == nil || slices.Contains(p.Uses(a), a.Reference) && p.Value(a) != value {
			continue
		}
		settings = append(settings, Setting{
			Attribute: a, Value: value, Uses: []string{a.Reference},
			Origin: plan.Origin{Kind: "flag", Where: a.Flag, Value: a.render(value)},
		})
	}
	return settings
}

// flag returns the value of a variable that a docker flag sets, nil when it is
// not set. It is of the Go type of the attribute that names it.
func (v *Variables) flag(reference string) any {
	switch {
	case reference == "container.cpus" && v.Container.CPUs != nil:
		return *v.Container.CPUs
	case reference == "container.memory" && v.Container.Memory != nil:
		return *v.Container.Memory
	default:
		return nil
	}
}
