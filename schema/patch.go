package schema

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Patch sets attributes where a condition holds, after all profiles.
type Patch struct {
	Name     string
	Reason   string     // why the values are needed, in a sentence
	Upstream string     // where the cause is tracked or documented, a URL; may be empty
	Place    diag.Range // of the name

	when hclsyntax.Expression
	body
}

// patchHeaders are the attributes of a patch outside of its set block.
var patchHeaders = []string{"when", "reason", "upstream"}

const blockSet = "set"

func (p *parser) parsePatch(b *hclsyntax.Block) *Patch {
	p.roots = patchRoots
	name, ok := p.name(b)
	if !ok {
		return nil
	}
	d := &Patch{Name: name.Name, Place: name.Place, body: body{file: p.file, context: p.context}}
	valid := true
	for _, a := range sorted(b.Body.Attributes) {
		switch a.Name {
		case "when":
			d.when = a.Expr
			valid = p.checkReferences(a.Expr, nil)
		case "reason":
			d.Reason = p.text(a)
		case "upstream":
			d.Upstream = p.text(a)
		default:
			p.unsupported(a, b.Type, patchHeaders)
		}
	}
	p.parseSet(d, b)
	for _, missing := range []struct {
		is         bool
		name, what string
	}{
		{d.when == nil, "when", "the condition under which it applies"},
		{b.Body.Attributes["reason"] == nil, "reason", "why it is there, in a sentence"},
	} {
		if missing.is {
			p.errorf(b.LabelRanges[0], "Incomplete patch", "The patch has no attribute %q: %s.", missing.name, missing.what)
			valid = false
		}
	}
	if !valid {
		return nil
	}
	return d
}

func (p *parser) parseSet(d *Patch, b *hclsyntax.Block) {
	found := false
	for _, inner := range b.Body.Blocks {
		switch {
		case inner.Type != blockSet:
			hint := diag.DidYouMean(inner.Type, []string{blockSet})
			if find(inner.Type, "") == nil && hint == "" {
				hint = fmt.Sprintf(" What it changes stands in its set block: %s.", p.file.form.block("...", blockSet, "machine"))
			}
			p.errorf(inner.TypeRange, "Unsupported block", "A patch has no block %q.%s", inner.Type, hint)
		case found:
			p.errorf(inner.TypeRange, "Duplicate block", "A patch has one set block: put its blocks together.")
		default:
			found = true
			p.noLabels(inner)
			for _, a := range sorted(inner.Body.Attributes) {
				p.errorf(a.NameRange, "Unsupported attribute", "A set block has no attribute %q outside of its blocks.%s", a.Name, p.headerHint(a.Name, nil))
			}
			p.parseBody(&d.body, inner)
		}
	}
	if !found {
		p.errorf(b.LabelRanges[0], "Incomplete patch", "The patch has no set block: it would change nothing. Write %s.", p.file.form.block("...", blockSet, "machine"))
	}
}

// Applies computes the patch's condition. A condition that is null does not
// hold.
func (d *Patch) Applies(scope *Scope, profile *Profile) (bool, diag.Diagnostics) {
	v, problems := d.when.Value(scope.contextOf(d.module, d.when, profile))
	if problems.HasErrors() {
		return false, hcldiag.Convert(problems, d.file.source, d.context)
	}
	if v.IsNull() || !v.IsWhollyKnown() {
		return false, nil
	}
	if v.Type() != cty.Bool {
		return false, diag.Diagnostics{d.at(d.when.Range(), d.wrongCondition(v.Type()))}
	}
	return v.True(), nil
}

func (d *Patch) wrongCondition(t cty.Type) *mistake {
	form := d.file.form
	return &mistake{"Wrong type of value", "A patch's condition is true or false, not a " + t.FriendlyName() + ". Compare values: " + form.assign("when", form.expression(`host.arch == "arm64"`)) + "."}
}

// Evaluate computes the patch's values. Expressions see the profile as it is so
// far, as profile.machine.accel.
func (d *Patch) Evaluate(scope *Scope, profile *Profile) ([]Setting, diag.Diagnostics) {
	return d.evaluate(scope, profile, "patch")
}
