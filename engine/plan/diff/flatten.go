package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// flat is a plan as values by path.
type flat struct {
	values map[string]any
	// order has the names of the elements of each list that is taken apart, and
	// elements those by their paths, whole.
	order    map[string][]string
	elements map[string]any
}

// flatten takes a plan's JSON apart, without what is compared by its meaning.
func flatten(p *plan.Plan) (*flat, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("compare plans: %w", err)
	}
	// A float64 would round a limit of 64 bits.
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("compare plans: %w", err)
	}
	for _, name := range []string{"format_version", "digest", "profiles", "origins", "patches", "warnings"} {
		delete(tree, name)
	}
	f := &flat{values: map[string]any{}, order: map[string][]string{}, elements: map[string]any{}}
	f.add("", tree)
	return f, nil
}

func (f *flat) add(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, element := range v {
			f.add(join(path, key), element)
		}
	case []any:
		if len(v) == 0 {
			return // as good as none
		}
		if parts, ok := takeApart(path, v); ok {
			for _, p := range parts {
				element := path + "[" + p.name + "]"
				f.order[path] = append(f.order[path], p.name)
				f.elements[element] = p.value
				f.add(element, p.value)
			}
			return
		}
		f.values[path] = v
	case nil:
	default:
		f.values[path] = v
	}
}

// join names a member: "machine.memory_mib", "guest.sysctl[net.ipv4.ip_forward]".
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.ContainsAny(key, ".[]/"):
		return path + "[" + key + "]"
	default:
		return path + "." + key
	}
}

// part is a named element of a list.
type part struct {
	name  string
	value any
}

// takeApart names the elements of a list, so that each is compared with its
// like. Names that occur twice are numbered.
func takeApart(path string, list []any) ([]part, bool) {
	var parts []part
	switch {
	case strings.HasSuffix(path, ".argv"):
		parts = options(list)
	case strings.HasSuffix(path, ".env"):
		parts = assignments(list)
	default:
		parts = objects(list)
	}
	if path == "guest.mounts" {
		nameDiskMounts(parts)
	}
	seen := map[string]int{}
	for i := range parts {
		name := parts[i].name
		if seen[name]++; seen[name] > 1 {
			parts[i].name = fmt.Sprintf("%s #%d", name, seen[name])
		}
	}
	return parts, len(parts) > 0
}

// nameDiskMounts names the mounts of disks by the disk, "disk:data": they come
// from the profile, and those of volumes from the container. Others are named by
// a path, which begins with a slash.
func nameDiskMounts(parts []part) {
	for i, p := range parts {
		mount, _ := p.value.(map[string]any)
		if source, _ := mount["source"].(string); strings.HasPrefix(source, diskMount) {
			parts[i].name = source
		}
	}
}

// diskMount begins the source of a guest's mount of a disk, as the engine writes
// it.
const diskMount = "disk:"

// objects names the elements of a list of objects by the field that tells them
// apart, nil when one lacks it.
func objects(list []any) []part {
	for _, key := range []string{"destination", "name", "path", "id", "target"} {
		parts := make([]part, 0, len(list))
		for _, element := range list {
			object, ok := element.(map[string]any)
			if !ok {
				return nil
			}
			name, ok := object[key].(string)
			if !ok {
				break
			}
			parts = append(parts, part{name, element})
		}
		if len(parts) == len(list) {
			return parts
		}
	}
	return nil
}

// assignments names the elements of an environment.
func assignments(list []any) []part {
	var parts []part
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return nil
		}
		name, value, _ := strings.Cut(text, "=")
		parts = append(parts, part{name, value})
	}
	return parts
}

// compare lists the differences in a stable order.
func (f *flat) compare(after *flat) []Change {
	old, now := f.without(after), after.without(f)
	paths := map[string]bool{}
	for path := range old {
		paths[path] = true
	}
	for path := range now {
		paths[path] = true
	}
	var changes []Change
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if !reflect.DeepEqual(old[path], now[path]) {
			changes = append(changes, Change{Path: path, Old: old[path], New: now[path]})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(f.order)) {
		old, now := common(f.order[path], after.order[path]), common(after.order[path], f.order[path])
		if !slices.Equal(old, now) {
			changes = append(changes, Change{Path: path, Old: old, New: now})
		}
	}
	return changes
}

// without returns the values, where an element that the other side lacks is a
// value as a whole.
func (f *flat) without(other *flat) map[string]any {
	values := maps.Clone(f.values)
	for element, value := range f.elements {
		if _, there := other.elements[element]; there {
			continue
		}
		for path := range f.values {
			if leads(element, path) {
				delete(values, path)
			}
		}
		values[element] = value
	}
	return values
}

// common returns those of names that others have as well.
func common(names, others []string) []string {
	var both []string
	for _, n := range names {
		if slices.Contains(others, n) {
			both = append(both, n)
		}
	}
	return both
}
