package schema

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema/units"
)

// Variables are what expressions see.
type Variables struct {
	Container Container
	Host      Host
	Image     Image
}

// Container is what the container was asked to be.
type Container struct {
	CPUs   *int         // container.cpus: vCPUs that its limits allow; nil (null) when unlimited
	Memory *units.Bytes // container.memory: nil (null) when unlimited
	Args   []string     // container.args: the program and its arguments
	Env    []string     // container.env: NAME=VALUE; the last of a name counts
}

// Host is the machine that runs it.
type Host struct {
	CPUs         int         // host.cpus
	Memory       units.Bytes // host.memory
	Architecture string      // host.arch, as Go names it: "amd64"
	Kernel       string      // host.kernel: "uname -r"
	KVM          bool        // host.kvm: KVM is usable
	QEMU         string      // host.qemu: the version of the tool root's QEMU, "7.2.22"
	Virtiofsd    string      // host.virtiofsd: "c" or "rust"
}

// Image is the container's image.
type Image struct {
	Labels map[string]string // image.labels
}

// members lists the variables, for messages.
var members = map[string][]string{
	"container": {"cpus", "memory", "args", "env"},
	"host":      {"cpus", "memory", "arch", "kernel", "kvm", "qemu", "virtiofsd"},
	"image":     {"labels"},
}

// Input is a value for the variables of that name: what var.NAME is.
type Input struct {
	Name, Value string
	Where       string // for messages: the variable or the label that gives it
}

// Scope evaluates expressions. It is made once for all profiles of a
// container; it is not safe for use by several goroutines.
type Scope struct {
	variables Variables
	inputs    []Input
	context   *hcl.EvalContext
	modules   map[*Module]*hcl.EvalContext
	diags     diag.Diagnostics
	unknown   bool // nothing but types is known: see Module.Check
}

// NewScope returns the scope that has v, and the inputs as the values of
// modules' variables; later inputs win.
func NewScope(v Variables, inputs ...Input) *Scope {
	return &Scope{variables: v, inputs: inputs, modules: map[*Module]*hcl.EvalContext{}}
}

// Diagnostics returns what was wrong with inputs and local values that the
// evaluated expressions used.
func (s *Scope) Diagnostics() diag.Diagnostics { return s.diags }

// contextOf returns what an expression needs: nothing when it is a literal. The
// module may be nil for files that were not linked; their expressions have no
// variables or locals.
func (s *Scope) contextOf(m *Module, e hclsyntax.Expression, profile *Profile) *hcl.EvalContext {
	// A constant needs no context, unless it calls functions: then HCL asks for
	// them.
	if _, literal := e.(*hclsyntax.LiteralValueExpr); literal {
		return nil
	}
	context := s.evalContext()
	usesModule, usesProfile := usesModule(e)
	if usesModule && m != nil {
		context = s.modules[m]
		if context == nil {
			var diags diag.Diagnostics
			context, diags = m.newContext(s)
			s.modules[m] = context
			s.diags = append(s.diags, diags...)
		}
	}
	if usesProfile && s.unknown {
		context = context.NewChild()
		context.Variables = map[string]cty.Value{rootProfile: unknownProfile()}
	} else if usesProfile && profile != nil {
		context = context.NewChild()
		context.Variables = map[string]cty.Value{rootProfile: profile.object(e)}
	}
	return context
}

// evalContext converts the variables when the first expression needs them.
func (s *Scope) evalContext() *hcl.EvalContext {
	if s.context == nil {
		v := &s.variables
		s.context = &hcl.EvalContext{
			Variables: map[string]cty.Value{
				"container": v.Container.object(),
				"host":      v.Host.object(),
				"image":     cty.ObjectVal(map[string]cty.Value{"labels": stringMap(v.Image.Labels)}),
			},
			Functions: functions(),
		}
	}
	return s.context
}

// Sizes are strings, as they are written, so that they can be given to an
// attribute as they are.
func (c *Container) object() cty.Value {
	cpus, memory := cty.NullVal(cty.Number), cty.NullVal(cty.String)
	if c.CPUs != nil {
		cpus = cty.NumberIntVal(int64(*c.CPUs))
	}
	if c.Memory != nil {
		memory = cty.StringVal(c.Memory.String())
	}
	env := make(map[string]string, len(c.Env))
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	return cty.ObjectVal(map[string]cty.Value{"cpus": cpus, "memory": memory, "args": ctyValue(c.Args), "env": stringMap(env)})
}

func (h *Host) object() cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"cpus":      cty.NumberIntVal(int64(h.CPUs)),
		"memory":    cty.StringVal(h.Memory.String()),
		"arch":      cty.StringVal(h.Architecture),
		"kernel":    cty.StringVal(h.Kernel),
		"kvm":       cty.BoolVal(h.KVM),
		"qemu":      cty.StringVal(h.QEMU),
		"virtiofsd": cty.StringVal(h.Virtiofsd),
	})
}

func stringMap(m map[string]string) cty.Value {
	if len(m) == 0 {
		return cty.MapValEmpty(cty.String)
	}
	values := make(map[string]cty.Value, len(m))
	for k, v := range m {
		values[k] = cty.StringVal(v)
	}
	return cty.MapVal(values)
}
