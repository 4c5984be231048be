package schema

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/runcvm/runcvm/schema/units"
)

// functions are those of expressions. All are pure.
var functions = sync.OnceValue(func() map[string]function.Function {
	return map[string]function.Function{
		"bytes":           bytesFunction,
		"can":             tryfunc.CanFunc,
		"ceil":            stdlib.CeilFunc,
		"coalesce":        stdlib.CoalesceFunc,
		"concat":          stdlib.ConcatFunc,
		"contains":        stdlib.ContainsFunc,
		"floor":           stdlib.FloorFunc,
		"format":          bounded(stdlib.FormatFunc, formatCost),
		"join":            bounded(stdlib.JoinFunc, joinCost),
		"keys":            stdlib.KeysFunc,
		"length":          stdlib.LengthFunc,
		"lookup":          stdlib.LookupFunc,
		"lower":           stdlib.LowerFunc,
		"max":             extreme("max", 1),
		"min":             extreme("min", -1),
		"regex":           bounded(stdlib.RegexFunc, regexCost),
		"replace":         bounded(stdlib.ReplaceFunc, replaceCost),
		"size":            sizeFunction,
		"split":           stdlib.SplitFunc,
		"substr":          stdlib.SubstrFunc,
		"trimspace":       stdlib.TrimSpaceFunc,
		"try":             tryfunc.TryFunc,
		"upper":           stdlib.UpperFunc,
		"version_compare": versionCompareFunction,
	}
})

// extreme makes min or max. It takes numbers, or sizes such as "512M", of which
// it returns the one that wins. Nulls do not take part.
func extreme(name string, want int) function.Function {
	return function.New(&function.Spec{
		Description: "Returns the " + name + "imum of numbers or of sizes; nulls are left out.",
		VarParam:    &function.Parameter{Name: "values", Type: cty.DynamicPseudoType, AllowNull: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			for i, a := range args {
				if t := a.Type(); t != cty.Number && t != cty.String && t != cty.DynamicPseudoType {
					return cty.NilType, function.NewArgErrorf(i, "neither a number nor a size")
				} else if first := args[0].Type(); t != first {
					return cty.NilType, function.NewArgErrorf(i, "%s cannot be compared with %s", t.FriendlyName(), first.FriendlyName())
				}
			}
			if len(args) == 0 {
				return cty.NilType, fmt.Errorf("it needs at least one value")
			}
			return args[0].Type(), nil
		},
		Impl: func(args []cty.Value, result cty.Type) (cty.Value, error) {
			best := cty.NullVal(result)
			var bestSize *big.Float
			for i, a := range args {
				if a.IsNull() {
					continue
				}
				size, err := magnitude(a)
				if err != nil {
					return cty.NilVal, function.NewArgErrorf(i, "%s", err)
				}
				if bestSize == nil || size.Cmp(bestSize) == want {
					best, bestSize = a, size
				}
			}
			return best, nil
		},
	})
}

func magnitude(v cty.Value) (*big.Float, error) {
	if v.Type() == cty.Number {
		return v.AsBigFloat(), nil
	}
	b, err := units.ParseBytes(v.AsString())
	if err != nil {
		return nil, err
	}
	return new(big.Float).SetInt64(int64(b)), nil
}

// bytesFunction turns a size into a number to calculate with.
var bytesFunction = function.New(&function.Spec{
	Description: `Returns a size as a number of bytes: bytes("1K") is 1024. Null stays null.`,
	Params:      []function.Parameter{{Name: "size", Type: cty.String, AllowNull: true}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].IsNull() {
			return cty.NullVal(cty.Number), nil
		}
		b, err := units.ParseBytes(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%s", err)
		}
		return cty.NumberIntVal(int64(b)), nil
	},
})

// sizeFunction is its inverse; a fraction of a byte is dropped.
var sizeFunction = function.New(&function.Spec{
	Description: `Returns a number of bytes as a size: size(1024) is "1KiB". Null stays null.`,
	Params:      []function.Parameter{{Name: "bytes", Type: cty.Number, AllowNull: true}},
	Type:        function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].IsNull() {
			return cty.NullVal(cty.String), nil
		}
		f := args[0].AsBigFloat()
		n, _ := f.Int64()
		if f.Sign() < 0 || f.Cmp(new(big.Float).SetInt64(1<<62)) > 0 {
			return cty.NilVal, function.NewArgErrorf(0, "it is not a size from 0 to 4194304T")
		}
		return cty.StringVal(units.Bytes(n).String()), nil
	},
})

// versionCompareFunction compares versions by their numbers, part by part:
// "10.0.2" is newer than "7.2.22". What does not begin with a number counts as 0.
var versionCompareFunction = function.New(&function.Spec{
	Description: `Returns -1, 0 or 1 as the first version is older than, equal to or newer than the second: version_compare("7.2.22", "10.0") is -1.`,
	Params:      []function.Parameter{{Name: "a", Type: cty.String}, {Name: "b", Type: cty.String}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		return cty.NumberIntVal(int64(slices.Compare(versionParts(args[0].AsString()), versionParts(args[1].AsString())))), nil
	},
})

// versionParts returns the numbers of a version, without zeros at the end.
func versionParts(version string) []uint64 {
	var parts []uint64
	for part := range strings.SplitSeq(version, ".") {
		digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 0 {
			digits = len(part)
		}
		n, err := strconv.ParseUint(part[:digits], 10, 64)
		if err != nil && digits > 0 {
			n = math.MaxUint64
		}
		parts = append(parts, n)
	}
	for len(parts) > 0 && parts[len(parts)-1] == 0 {
		parts = parts[:len(parts)-1]
	}
	return parts
}
