package schema

import (
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

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
}

// Host is the machine that runs it.
type Host struct {
	CPUs         int         // host.cpus
	Memory       units.Bytes // host.memory
	Architecture string      // host.arch, as Go names it: "amd64"
}

// Image is the container's image.
type Image struct {
	Labels map[string]string // image.labels
}

// members lists the variables, for messages.
var members = map[string][]string{
	"container": {"cpus", "memory"},
	"host":      {"cpus", "memory", "arch"},
	"image":     {"labels"},
}

// Scope evaluates expressions. It is made once for all profiles of a
// container and may be used by several goroutines.
type Scope struct {
	variables Variables
	once      sync.Once
	context   *hcl.EvalContext
}

// NewScope returns the scope that has v.
func NewScope(v Variables) *Scope { return &Scope{variables: v} }

// evalContext converts the variables when the first expression needs them.
func (s *Scope) evalContext() *hcl.EvalContext {
	s.once.Do(func() {
		v := &s.variables
		cpus, memory := cty.NullVal(cty.Number), cty.NullVal(cty.String)
		if v.Container.CPUs != nil {
			cpus = cty.NumberIntVal(int64(*v.Container.CPUs))
		}
		// Sizes are strings, as they are written, so that they can be given to an
		// attribute as they are.
		if v.Container.Memory != nil {
			memory = cty.StringVal(v.Container.Memory.String())
		}
		labels := cty.MapValEmpty(cty.String)
		if len(v.Image.Labels) > 0 {
			m := make(map[string]cty.Value, len(v.Image.Labels))
			for k, l := range v.Image.Labels {
				m[k] = cty.StringVal(l)
			}
			labels = cty.MapVal(m)
		}
		s.context = &hcl.EvalContext{
			Variables: map[string]cty.Value{
				"container": cty.ObjectVal(map[string]cty.Value{"cpus": cpus, "memory": memory}),
				"host": cty.ObjectVal(map[string]cty.Value{
					"cpus":   cty.NumberIntVal(int64(v.Host.CPUs)),
					"memory": cty.StringVal(v.Host.Memory.String()),
					"arch":   cty.StringVal(v.Host.Architecture),
				}),
				"image": cty.ObjectVal(map[string]cty.Value{"labels": labels}),
			},
			Functions: functions(),
		}
	})
	return s.context
}
