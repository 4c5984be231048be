package diff

import (
	"maps"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// classes says what a change of an attribute's value needs, by the kind of
// source that sets it. Profiles are read at each start; what a container was
// created with stays as long as it does. Kinds that are not here are of the
// host.
var classes = map[string]Class{
	"flag":     Recreate,
	"label":    Recreate,
	"variable": Recreate,
}

func classOf(o plan.Origin) Class {
	if c, ok := classes[o.Kind]; ok {
		return c
	}
	return Restart
}

// attributes compares the attributes' values. One that is the same but comes
// from another place is a change of class None.
func attributes(before, after map[string]plan.Origin) []Change {
	paths := map[string]bool{}
	for path := range before {
		paths[path] = true
	}
	for path := range after {
		paths[path] = true
	}
	var changes []Change
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		old, had := before[path]
		now, has := after[path]
		if had && has {
			old, now = beneathPatches(old, now)
		}
		c := Change{Path: path, Kind: Attribute, Class: None}
		if had {
			c.Old = before[path].Value
		}
		if has {
			c.New = after[path].Value
		}
		switch {
		case had && has && c.Old == c.New:
			if place(old) == place(now) {
				continue
			}
			c.Cause = "now from " + place(now) + ", was from " + place(old)
		case !has:
			c.Class, c.Cause = classOf(old), place(old)+" no longer sets it"
		case !had:
			c.Class, c.Cause = classOf(now), place(now)
		default:
			c.Class, c.Cause = stronger(classOf(old), classOf(now)), cause(old, now)
		}
		changes = append(changes, c)
	}
	return changes
}

// beneathPatches returns what two values were made of by the same patches: who
// set that is the cause of a change.
func beneathPatches(old, now plan.Origin) (oldest, newest plan.Origin) {
	for old.Kind == "patch" && old.Kind == now.Kind && old.Where == now.Where && len(old.Overrode) > 0 && len(now.Overrode) > 0 {
		rest, others := old.Overrode[1:], now.Overrode[1:]
		old, now = old.Overrode[0], now.Overrode[0]
		old.Overrode, now.Overrode = rest, others
	}
	return old, now
}

// cause says which place changed a value: that of the new one, unless this is a
// value that the old one beat and that is in force because the old one is gone.
func cause(old, now plan.Origin) string {
	beaten := slices.ContainsFunc(old.Overrode, func(o plan.Origin) bool {
		return o.Kind == now.Kind && o.Value == now.Value && file(o) == file(now)
	})
	if beaten {
		return place(old) + " no longer sets it, " + place(now) + " does"
	}
	return place(now)
}

// place names an origin for people.
func place(o plan.Origin) string {
	switch o.Kind {
	case "flag":
		return "docker's " + o.Where
	case "label":
		return "the label " + o.Where
	default:
		return o.Where
	}
}

// file is the place without line and column, which an edit moves.
func file(o plan.Origin) string {
	parts := strings.Split(o.Where, ":")
	if len(parts) > 2 {
		parts = parts[:len(parts)-2]
	}
	return strings.Join(parts, ":")
}
