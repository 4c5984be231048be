package schema

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
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

// bounded refuses a call whose result would be too large, before it is made.
func bounded(f function.Function, estimate func(args []cty.Value) int) function.Function {
	return function.New(&function.Spec{
		Description: f.Description(),
		Params:      f.Params(),
		VarParam:    f.VarParam(),
		Type:        f.ReturnTypeForValues,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if estimate(args) > maxValue {
				return cty.NilVal, errTooLarge
			}
			return f.Call(args)
		},
	})
}

var replaceFunction = bounded(stdlib.ReplaceFunc, func(args []cty.Value) int {
	text, old, replacement := args[0].AsString(), args[1].AsString(), args[2].AsString()
	return len(text) + strings.Count(text, old)*len(replacement)
})

var joinFunction = bounded(stdlib.JoinFunc, func(args []cty.Value) int {
	size := 0
	for _, list := range args[1:] {
		size += sizeOf(list) + list.LengthInt()*len(args[0].AsString())
	}
	return size
})

// tooLarge is why a local value cannot be used, nil when it can.
func tooLarge(name string, v cty.Value) *mistake {
	if sizeOf(v) <= maxValue {
		return nil
	}
	return &mistake{"Value too large", fmt.Sprintf("local.%s has more than %d bytes of text and elements. Make it shorter.", name, maxValue)}
}
