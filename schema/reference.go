package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/internal/diag"
)

// Roots of variables that are not in members.
const (
	rootVariable = "var"
	rootLocal    = "local"
	rootProfile  = "profile"
)

// The roots of the variables that expressions may use, by the block that they
// stand in.
var (
	valueRoots  = []string{"container", "host", "image", rootVariable, rootLocal}
	patchRoots  = append(slices.Clone(valueRoots), rootProfile)
	policyRoots = []string{"host", rootVariable, rootLocal}
)

// use is a mention of a variable or a local, which may be declared in another
// file of the module.
type use struct {
	root, name string
	at         hcl.Range
	context    string
}

// checkReferences reports variables that do not exist, which HCL itself would
// report only when the expression is evaluated, and without a suggestion. The
// attribute is the one that the expression is for, nil when there is none.
func (p *parser) checkReferences(e hclsyntax.Expression, a *Attribute) bool {
	valid := true
	for _, t := range e.Variables() {
		valid = p.checkTraversal(t, a) && valid
	}
	return valid
}

func (p *parser) checkTraversal(t hcl.Traversal, a *Attribute) bool {
	root := t.RootName()
	if !slices.Contains(p.roots, root) {
		p.errorf(t.SourceRange(), "Unknown variable", "There is no variable %q here.%s", root, p.rootHint(a, root, t))
		return false
	}
	known, fixed := members[root]
	if len(t) < 2 {
		hint := "name one of its members"
		if fixed {
			hint = "write one of " + fullNames(root, known)
		}
		p.errorf(t.SourceRange(), "Incomplete variable", "%q is a group of variables: %s.", root, hint)
		return false
	}
	step, ok := t[1].(hcl.TraverseAttr)
	switch {
	case !ok:
		p.errorf(t.SourceRange(), "Unknown variable", "A member of %q is named after a dot: %s.name.", root, root)
		return false
	case root == rootProfile:
		return p.checkProfileReference(t)
	case !fixed:
		p.file.uses = append(p.file.uses, use{root, step.Name, t.SourceRange(), p.context})
	case !slices.Contains(known, step.Name):
		p.errorf(t.SourceRange(), "Unknown variable", "There is no variable %q.%s The variables of %q are %s.",
			root+"."+step.Name, diag.DidYouMean(step.Name, known), root, fullNames(root, known))
		return false
	}
	return true
}

// checkProfileReference wants profile.BLOCK.ATTRIBUTE.
func (p *parser) checkProfileReference(t hcl.Traversal) bool {
	name := ""
	if len(t) >= 3 {
		block, _ := t[1].(hcl.TraverseAttr)
		attribute, _ := t[2].(hcl.TraverseAttr)
		if a := find(block.Name, attribute.Name); a != nil && !a.Labelled() {
			return true
		}
		if isLabelled(block.Name) {
			p.errorf(t.SourceRange(), "Unknown variable", "Values of %s blocks are not among those of the profile that an expression sees: a profile may have several, or none.", block.Name)
			return false
		}
		name = block.Name + "." + attribute.Name
	}
	var known []string
	for _, a := range table {
		if !a.Labelled() {
			known = append(known, a.Path())
		}
	}
	p.errorf(t.SourceRange(), "Unknown variable", "A value of the profile is written with its block, as in profile.machine.accel.%s", diag.DidYouMean(name, known))
	return false
}

func (p *parser) rootHint(a *Attribute, root string, t hcl.Traversal) string {
	if a != nil && len(t) == 1 && (slices.Contains(a.choice, root) || a.choice == nil && a.Type == TypeString) {
		return " Text needs quotes: \"" + root + "\"."
	}
	if a != nil && len(t) == 1 && a.Type == TypeBool {
		return " Write true or false."
	}
	if s := diag.DidYouMean(root, p.roots); s != "" {
		return s
	}
	var prefixes []string
	for _, r := range p.roots {
		prefixes = append(prefixes, r+".")
	}
	return " Variables here begin with " + diag.Choices(prefixes) + "; text needs quotes."
}

func fullNames(root string, members []string) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = root + "." + m
	}
	return strings.Join(names, ", ")
}

// checkUses reports variables and locals that the module does not have.
func (m *Module) checkUses(f *File) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, u := range f.uses {
		known, how := m.variableNames(), f.form.block(f.form.assign("default", "..."), blockVariable, strconv.Quote(u.name))
		if u.root == rootLocal {
			known, how = m.localNames(), f.form.block(f.form.assign(u.name, "..."), blockLocals)
		}
		if slices.Contains(known, u.name) {
			continue
		}
		hint := diag.DidYouMean(u.name, known)
		if hint == "" {
			hint = " Declare it: " + how + "."
		}
		diags = append(diags, at(f, u.at, u.context, &mistake{"Unknown variable", fmt.Sprintf("There is no %q.%s", u.root+"."+u.name, hint)}))
	}
	return diags
}
