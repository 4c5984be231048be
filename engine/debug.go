package engine

import (
	"slices"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/schema"
)

// compileDebug says what is looked into.
func (c *compiler) compileDebug() {
	d := plan.Debug{Runtime: schema.DebugRuntime.Of(c.profile), QEMU: schema.DebugQEMU.Of(c.profile)}
	asked := schema.DebugBreakpoints.Of(c.profile)
	for _, point := range []string{plan.BreakPreNet, plan.BreakPostNet, plan.BreakPreQEMU} {
		if slices.Contains(asked, point) {
			d.Breakpoints = append(d.Breakpoints, point)
		}
	}
	if d.Runtime || d.QEMU || len(d.Breakpoints) > 0 {
		c.plan.Debug = &d
	}
}
