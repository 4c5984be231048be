package schema

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"
)

// maxValue bounds a local value and the result of a function that multiplies, in
// bytes of text and elements of lists. Thirty locals that each hold the one
// before them twice would need more memory than a host has, and an image may
// bring them.
const maxValue = 16 << 10

var errTooLarge = fmt.Errorf("the result has more than %d bytes", maxValue)

// sizeOf measures a known value, not much beyond the bound.
func sizeOf(v cty.Value) int {
	size := 0
	// The callback's error only ends the walk.
	_ = cty.Walk(v, func(_ cty.Path, part cty.Value) (bool, error) {
		size++
		if part.IsKnown() && !part.IsNull() && part.Type() == cty.String {
			size += len(part.AsString())
		}
		if size > maxValue {
			return false, errTooLarge
		}
		return true, nil
	})
	return size
}

// tooLarge is why a local value cannot be used, nil when it can.
func tooLarge(name string, v cty.Value) *mistake {
	if sizeOf(v) <= maxValue {
		return nil
	}
	return &mistake{"Value too large", fmt.Sprintf("local.%s has more than %d bytes of text and elements. Make it shorter.", name, maxValue)}
}
