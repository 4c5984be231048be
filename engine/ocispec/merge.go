package ocispec

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// merge returns raw with what differs between before and after, which are what
// a typed value made of raw, and what became of it. A field that before does
// not have is unknown to the type, or empty: it stays.
func merge(raw, before, after any) any {
	switch a := after.(type) {
	case map[string]any:
		r, isMap := raw.(map[string]any)
		b, wasMap := before.(map[string]any)
		if isMap && wasMap {
			return mergeObjects(r, b, a)
		}
	case []any:
		r, isList := raw.([]any)
		b, wasList := before.([]any)
		if isList && wasList && len(r) == len(b) {
			return mergeLists(r, b, a)
		}
	default:
		if after == before {
			return raw
		}
	}
	return after
}

func mergeObjects(raw, before, after map[string]any) map[string]any {
	out := make(map[string]any, len(raw)+len(after))
	spellings := make(map[string]int, len(raw))
	for key := range raw {
		spellings[fold(key)]++
	}
	for key, value := range after {
		original, found := raw[key]
		if !found || spellings[fold(key)] > 1 {
			out[key] = value // it was read from another spelling, or from both
			continue
		}
		out[key] = merge(original, before[key], value)
	}
	var names []string // known ones, folded, made on demand
	for key, value := range raw {
		if _, known := after[key]; known {
			continue
		}
		if _, removed := before[key]; removed {
			continue
		}
		if names == nil {
			names = foldedKeys(before, after)
		}
		// A reader in Go takes "Root" for "root": the odd spelling must not bring
		// back what was changed.
		if !slices.Contains(names, fold(key)) {
			out[key] = value
		}
	}
	return out
}

// fold maps the spellings of a name that encoding/json takes for one to the same
// string: the smallest of the runes that Unicode's simple folding makes equal.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}

func foldedKeys(objects ...map[string]any) []string {
	names := []string{}
	for _, o := range objects {
		for key := range o {
			names = append(names, fold(key))
		}
	}
	return names
}

// mergeLists finds for each element of after the one of before that it was, so
// that the element's unknown fields follow it when it moves.
func mergeLists(raw, before, after []any) []any {
	origin := align(before, after)
	out := make([]any, len(after))
	for i, element := range after {
		if j := origin[i]; j >= 0 {
			out[i] = merge(raw[j], before[j], element)
		} else {
			out[i] = element
		}
	}
	return out
}

// align gives the index in before of each element of after, or -1. Equal
// elements belong together; then objects that share most scalar fields, if
// they share more than half.
func align(before, after []any) []int {
	origin := make([]int, len(after))
	used := make([]bool, len(before))
	for i, element := range after {
		origin[i] = -1
		if i < len(before) && !used[i] && reflect.DeepEqual(before[i], element) {
			origin[i], used[i] = i, true
			continue
		}
		for j := range before {
			if !used[j] && reflect.DeepEqual(before[j], element) {
				origin[i], used[j] = j, true
				break
			}
		}
	}
	for _, m := range similar(before, after, used, origin) {
		if origin[m.after] < 0 && !used[m.before] {
			origin[m.after], used[m.before] = m.before, true
		}
	}
	return origin
}

// match is a possible pair of elements.
type match struct{ after, before, shared int }

// similar lists the possible pairs of those without an equal one, the best
// first.
func similar(before, after []any, used []bool, origin []int) []match {
	var matches []match
	for i, element := range after {
		object, ok := element.(map[string]any)
		if !ok || origin[i] >= 0 {
			continue
		}
		for j, candidate := range before {
			old, ok := candidate.(map[string]any)
			if !ok || used[j] {
				continue
			}
			if shared, scalars := sharedScalars(old, object); 2*shared > scalars {
				matches = append(matches, match{i, j, shared})
			}
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return cmp.Compare(b.shared, a.shared) })
	return matches
}

// sharedScalars counts the scalar fields of b, and those that a has as well.
func sharedScalars(a, b map[string]any) (shared, scalars int) {
	for key, value := range b {
		switch value.(type) {
		case map[string]any, []any:
			continue
		}
		scalars++
		if other, ok := a[key]; ok && reflect.DeepEqual(other, value) {
			shared++
		}
	}
	return shared, scalars
}
