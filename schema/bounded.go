package schema

import (
	"fmt"
	"regexp/syntax"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

const (
	// maxSteps bounds the steps of a pattern's matching.
	maxSteps = 1 << 22
	// maxPadding is the largest width or precision of a format's verb.
	maxPadding = 999
)

// bounded is f, but a call whose cost is an error is refused before anything is
// made. All arguments are known when cost is asked.
func bounded(f function.Function, cost func(args []cty.Value) error) function.Function {
	known := func(args []cty.Value) error {
		for _, a := range args {
			if !a.IsWhollyKnown() || a.IsNull() {
				return nil
			}
		}
		return cost(args)
	}
	return function.New(&function.Spec{
		Description: f.Description(),
		Params:      f.Params(),
		VarParam:    f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := known(args); err != nil {
				return cty.NilType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

// made refuses a result of more than maxValue bytes.
func made(pieces, size int) error {
	if size > 0 && pieces > maxValue/size {
		return errTooLarge
	}
	return nil
}

func replaceCost(args []cty.Value) error {
	return made(strings.Count(args[0].AsString(), args[1].AsString()), len(args[2].AsString()))
}

func joinCost(args []cty.Value) error {
	pieces := 0
	for _, list := range args[1:] {
		pieces += list.LengthInt()
	}
	return made(pieces, len(args[0].AsString()))
}

// formatCost bounds widths and precisions, and how often an argument can be
// written.
func formatCost(args []cty.Value) error {
	text := args[0].AsString()
	digits, padding, inVerb, verbs := 0, 0, false, 0
	for _, c := range text {
		switch {
		case c == '%':
			inVerb, digits = true, 0
			verbs++
		case inVerb && c >= '0' && c <= '9':
			padding = maxPadding
			if digits++; digits > len("999") {
				return fmt.Errorf("widths and precisions are at most %d", maxPadding)
			}
		case inVerb && strings.ContainsRune("+-# .[]", c):
			digits = 0
		default:
			inVerb = false
		}
	}
	largest := padding
	for _, a := range args[1:] {
		largest = max(largest, weight(a, maxValue))
	}
	return made(verbs, largest)
}

// regexCost bounds matching, which takes time in proportion to the pattern's
// size times that of the text. Repetitions make a small pattern large.
func regexCost(args []cty.Value) error {
	parsed, err := syntax.Parse(args[0].AsString(), syntax.Perl)
	if err != nil {
		return nil // the function says it better
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil
	}
	if len(program.Inst) > maxSteps/(1+len(args[1].AsString())) {
		return fmt.Errorf("the pattern is too large for this text")
	}
	return nil
}
