package diag

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// Nearest returns the one of options that given was probably meant to be, or
// "" when none is near.
func Nearest(given string, options []string) string {
	best, distance := "", 3
	for _, option := range options {
		d := levenshtein.Distance(strings.ToLower(given), strings.ToLower(option), nil)
		// Three edits turn most short words into any other.
		if d < distance && d <= max(1, len(option)/2) {
			best, distance = option, d
		}
	}
	if best != "" {
		return best
	}
	// A word cut short or grown: "mem" for "memory".
	for _, option := range options {
		if len(given) >= 3 && (strings.HasPrefix(option, given) || strings.HasPrefix(given, option)) {
			return option
		}
	}
	return ""
}

// DidYouMean is Nearest as a sentence with a leading space, or "".
func DidYouMean(given string, options []string) string {
	if s := Nearest(given, options); s != "" {
		return ` Did you mean "` + s + `"?`
	}
	return ""
}

// List joins names for a sentence: "a", "b" and "c". It sorts them unless they
// are to keep their order.
func List(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = `"` + n + `"`
	}
	return join(quoted, "and")
}

// Choices joins names for a sentence: "a", "b" or "c".
func Choices(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = `"` + n + `"`
	}
	return join(quoted, "or")
}

// Sorted returns a sorted copy.
func Sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}

func join(quoted []string, word string) string {
	switch n := len(quoted); n {
	case 0:
		return "none"
	case 1:
		return quoted[0]
	default:
		return strings.Join(quoted[:n-1], ", ") + " " + word + " " + quoted[n-1]
	}
}
