package differential

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// needs holds what a case may need of the host beside an engine, as arguments
// that only work where it is there.
var needs = map[string][]string{
	// Not where the engine itself lacks a capability.
	"privileged": {"run", "--rm", "--privileged"},
	// Not by a docker command of version 25 and later with an engine before that.
	"mac-address": {"run", "--rm", "--mac-address", "02:42:ac:1c:77:fe"},
	// Of Docker from version 24.
	"annotation": {"run", "--rm", "--annotation", "com.example.needs=1"},
}

// checkNeeds finds needs that nobody can have.
func (c *Case) checkNeeds() error {
	for _, name := range c.Needs {
		if needs[name] == nil {
			return fmt.Errorf("needs: %q is none of %s", name, strings.Join(slices.Sorted(maps.Keys(needs)), ", "))
		}
	}
	return nil
}

// lacking says why the case cannot run here; empty where it can.
func (r *Runner) lacking(ctx context.Context, c *Case) string {
	if len(c.Engines) > 0 && !slices.Contains(c.Engines, r.Engine) {
		return "only for " + strings.Join(c.Engines, ", ")
	}
	a := attempt{Runner: r, runtime: r.Reference}
	for _, name := range c.Needs {
		args := append(a.withRuntime(needs[name]), r.Base, "true")
		if out, err := a.command(ctx, args...).CombinedOutput(); err != nil {
			return fmt.Sprintf("needs %s, which %s cannot do here: %s", name, r.Reference, strings.Join(strings.Fields(string(out)), " "))
		}
	}
	return ""
}
