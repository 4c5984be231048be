package diag

import (
	"strings"

	"github.com/agext/levenshtein"
)

// maxGiven bounds what is compared with the options: names that people write are
// shorter, and a label may have any length.
const maxGiven = 100

// Nearest returns the one of options that given was probably meant to be, or
// "" when none is near.
func Nearest(given string, options []string) string {
	if len(given) > maxGiven {
		return ""
	}
	best, distance := "", 3
	for _, option := range options {
		d := edits(strings.ToLower(given), strings.ToLower(option))
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

// edits is the Levenshtein distance, where two letters in the wrong order count
// once.
func edits(a, b string) int {
	d := levenshtein.Distance(a, b, nil)
	if d == 2 && len(a) == len(b) {
		for i := range len(a) - 1 {
			if a[i] != b[i] {
				if a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:] {
					return 1
				}
				break
			}
		}
	}
	return d
}

// DidYouMean is Nearest as a sentence with a leading space, or "".
func DidYouMean(given string, options []string) string {
	if s := Nearest(given, options); s != "" {
		return ` Did you mean "` + s + `"?`
	}
	return ""
}

// List joins names for a sentence: "a", "b" and "c".
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
