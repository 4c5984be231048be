package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Module is files that see each other's variables and locals: those of a
// directory, or the one document of a label.
type Module struct {
	Files []*File

	variables map[string]*Variable
	locals    map[string]*local
	order     []*local // each after those that it uses
}

// Link makes a module of files, whose declarations can be evaluated then. It
// reports names that are declared twice, unknown or circular.
func Link(files ...*File) (*Module, diag.Diagnostics) {
	m := &Module{Files: files, variables: map[string]*Variable{}, locals: map[string]*local{}}
	var diags diag.Diagnostics
	for _, f := range files {
		diags = append(diags, m.add(f)...)
	}
	for _, f := range files {
		diags = append(diags, m.checkUses(f)...)
	}
	return m, append(diags, m.sortLocals()...)
}

func (m *Module) add(f *File) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, d := range f.Profiles {
		d.module = m
	}
	for _, d := range f.Patches {
		d.module = m
	}
	for _, d := range f.Policies {
		d.module = m
	}
	for _, v := range f.Variables {
		if first := m.variables[v.Name]; first != nil {
			diags = append(diags, v.at(&mistake{"Variable defined twice", fmt.Sprintf("var.%s is defined at %s already. Remove one of them.", v.Name, first.Place)}))
			continue
		}
		m.variables[v.Name] = v
	}
	for _, l := range f.locals {
		if first := m.locals[l.name]; first != nil {
			diags = append(diags, l.at(&mistake{"Local value defined twice", fmt.Sprintf("local.%s is defined at %s already. Remove one of them.", l.name, hcldiag.Range(first.place))}))
			continue
		}
		m.locals[l.name] = l
	}
	return diags
}

// Variables lists the module's variables by name.
func (m *Module) Variables() []*Variable {
	list := make([]*Variable, 0, len(m.variables))
	for _, name := range m.variableNames() {
		list = append(list, m.variables[name])
	}
	return list
}

func (m *Module) variableNames() []string { return slices.Sorted(maps.Keys(m.variables)) }
func (m *Module) localNames() []string    { return slices.Sorted(maps.Keys(m.locals)) }

// sortLocals orders the locals by their uses, or reports a circle.
func (m *Module) sortLocals() diag.Diagnostics {
	var diags diag.Diagnostics
	done := map[string]bool{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		l := m.locals[name]
		if l == nil || done[name] {
			return
		}
		if i := slices.Index(path, name); i >= 0 {
			circle := "local." + strings.Join(append(slices.Clone(path[i:]), name), " -> local.")
			diags = append(diags, l.at(&mistake{"Local values in a circle", "Each of these needs the next: " + circle + ". Remove one of the steps."}))
			return
		}
		path = append(path, name)
		for _, r := range references(l.value) {
			if other, ok := strings.CutPrefix(r, rootLocal+"."); ok {
				visit(other)
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		m.order = append(m.order, l)
	}
	for _, name := range m.localNames() {
		visit(name)
	}
	return diags
}

// at makes an error at a place of f.
func at(f *File, r hcl.Range, context string, m *mistake) *diag.Diagnostic {
	return hcldiag.At(f.source, r, context, m.summary, m.detail)
}

// newContext computes the module's variables and locals. A local that cannot be
// computed is reported and unknown.
func (m *Module) newContext(s *Scope) (*hcl.EvalContext, diag.Diagnostics) {
	var diags diag.Diagnostics
	values := make(map[string]cty.Value, len(m.variables))
	for name, v := range m.variables {
		values[name] = v.value
		if s.unknown {
			values[name] = cty.UnknownVal(ctyTypes[v.Type])
		}
	}
	for _, in := range s.inputs {
		v := m.variables[in.Name]
		if v == nil {
			continue
		}
		value, wrong := v.read(in.Value)
		if wrong != nil {
			diags = append(diags, inputError(v, in, wrong))
			continue
		}
		values[in.Name] = value
	}
	context := s.evalContext().NewChild()
	context.Variables = map[string]cty.Value{rootVariable: object(values)}
	locals := make(map[string]cty.Value, len(m.locals))
	for _, l := range m.order {
		context.Variables[rootLocal] = used(locals, l.value)
		v, problems := l.value.Value(context)
		switch {
		case l.file.meter.exceeded():
			diags = append(diags, l.at(workMistake()))
			context.Variables[rootLocal] = cty.DynamicVal
			return context, diags
		case problems.HasErrors():
			diags = append(diags, hcldiag.Convert(problems, l.file.source, l.context)...)
			v = cty.DynamicVal
		default:
			if m := tooLarge(l.name, v); m != nil {
				diags = append(diags, l.at(m))
				v = cty.DynamicVal
			}
		}
		locals[l.name] = v
	}
	context.Variables[rootLocal] = object(locals)
	return context, diags
}

// used is the locals that an expression mentions: an object of all of them for
// each would take the square of their number.
func used(locals map[string]cty.Value, e hclsyntax.Expression) cty.Value {
	mentioned := map[string]cty.Value{}
	for _, r := range references(e) {
		name, isLocal := strings.CutPrefix(r, rootLocal+".")
		if v, known := locals[name]; isLocal && known {
			mentioned[name] = v
		}
	}
	return object(mentioned)
}

func object(values map[string]cty.Value) cty.Value {
	if len(values) == 0 {
		return cty.EmptyObjectVal
	}
	return cty.ObjectVal(values)
}

// usesModule says whether an expression needs the module's context.
func usesModule(e hclsyntax.Expression) (module, profile bool) {
	for _, t := range e.Variables() {
		switch t.RootName() {
		case rootVariable, rootLocal:
			module = true
		case rootProfile:
			profile = true
		}
	}
	return module, profile
}
