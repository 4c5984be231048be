package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema/units"
)

// mistake is why a value is not one of its attribute's.
type mistake struct{ summary, detail string }

// decode turns a known, non-null value into the attribute's Go type and checks
// its rules.
func (a *Attribute) decode(v cty.Value) (any, *mistake) {
	var out any
	var m *mistake
	switch a.Type {
	case TypeBool:
		out, m = a.decodeBool(v)
	case TypeInt:
		out, m = a.decodeInt(v)
	case TypeString:
		out, m = a.decodeString(v)
	case TypeBytes:
		out, m = a.decodeBytes(v)
	case TypeDuration:
		out, m = a.decodeDuration(v)
	case TypeStrings:
		out, m = a.decodeStrings(v)
	default:
		panic("schema: attribute " + a.Path() + " has no type")
	}
	if m == nil {
		m = a.check(out)
	}
	if m != nil {
		m.detail += expressionHint(v)
		return nil, m
	}
	return out, nil
}

// looksLikeExpression matches text that was meant to be computed.
var looksLikeExpression = regexp.MustCompile(`^(container|host|image|var|local|profile)\.[a-z_]+`)

// expressionHint helps with an expression that was written as text, which is
// easily done in YAML.
func expressionHint(v cty.Value) string {
	if v.Type() != cty.String || !looksLikeExpression.MatchString(v.AsString()) {
		return ""
	}
	return fmt.Sprintf(" In text, an expression stands in ${ }: \"${%s}\".", v.AsString())
}

// numberText writes a number as a profile would, when it is not too long.
func numberText(v cty.Value) string {
	f := v.AsBigFloat()
	if f.MantExp(nil) > 64 || f.MantExp(nil) < -64 {
		return f.Text('g', 10)
	}
	return f.Text('f', -1)
}

func (a *Attribute) wrongType(got cty.Value, mend string) *mistake {
	return &mistake{
		"Wrong type of value",
		fmt.Sprintf("%s is a %s, not a %s. %s", a.Path(), a.Type, got.Type().FriendlyName(), mend),
	}
}

func (a *Attribute) decodeBool(v cty.Value) (any, *mistake) {
	if v.Type() != cty.Bool {
		return nil, a.wrongType(v, "Write true or false, without quotes.")
	}
	return v.True(), nil
}

func (a *Attribute) decodeInt(v cty.Value) (any, *mistake) {
	if v.Type() != cty.Number {
		return nil, a.wrongType(v, "Write a number without quotes, such as 2.")
	}
	f := v.AsBigFloat()
	n, _ := f.Int64()
	if !f.IsInt() || int64(int(n)) != n || f.Cmp(cty.NumberIntVal(n).AsBigFloat()) != 0 {
		return nil, &mistake{"Not a whole number", fmt.Sprintf("%s is a whole number; %s is not, or is too large.", a.Path(), f.Text('g', 10))}
	}
	return int(n), nil
}

func (a *Attribute) decodeString(v cty.Value) (any, *mistake) {
	if v.Type() != cty.String {
		mend := "Write it in quotes."
		if a.choice != nil {
			mend = "Write " + diag.Choices(a.choice) + "."
		}
		return nil, a.wrongType(v, mend)
	}
	return v.AsString(), nil
}

func (a *Attribute) decodeBytes(v cty.Value) (any, *mistake) {
	if v.Type() == cty.Number {
		n := numberText(v)
		return nil, &mistake{"Size without a unit", fmt.Sprintf("%s is a size, and %s does not say in which unit. Write \"%sM\" for mebibytes or \"%sG\" for gibibytes, in quotes.", a.Path(), n, n, n)}
	}
	if v.Type() != cty.String {
		return nil, a.wrongType(v, `Write it in quotes, as in "512M".`)
	}
	b, err := units.ParseBytes(v.AsString())
	if err != nil {
		return nil, &mistake{"Invalid size", a.Path() + ": " + err.Error() + "."}
	}
	return b, nil
}

func (a *Attribute) decodeDuration(v cty.Value) (any, *mistake) {
	if v.Type() == cty.Number {
		n := numberText(v)
		return nil, &mistake{"Duration without a unit", fmt.Sprintf("%s is a duration, and %s does not say in which unit. Write \"%ss\" for seconds, in quotes.", a.Path(), n, n)}
	}
	if v.Type() != cty.String {
		return nil, a.wrongType(v, `Write it in quotes, as in "60s".`)
	}
	d, err := time.ParseDuration(v.AsString())
	if err != nil {
		return nil, &mistake{"Invalid duration", fmt.Sprintf("%s: %q is not a duration. Write numbers with the units s, m or h, as in \"60s\" or \"1m30s\".", a.Path(), v.AsString())}
	}
	return d, nil
}

func (a *Attribute) decodeStrings(v cty.Value) (any, *mistake) {
	if !v.Type().IsTupleType() && !v.Type().IsListType() && !v.Type().IsSetType() {
		return nil, a.wrongType(v, `Write it in brackets, as in ["a", "b"].`)
	}
	out := make([]string, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		if element.IsNull() || element.Type() != cty.String {
			return nil, &mistake{"Wrong type of value", fmt.Sprintf("Element %d of %s is not a string. Write each in quotes.", len(out)+1, a.Path())}
		}
		out = append(out, element.AsString())
	}
	return out, nil
}

// newValidator is made when the first value is checked: it is not free.
var newValidator = sync.OnceValue(func() *validator.Validate { return validator.New() })

// check applies the rules.
func (a *Attribute) check(v any) *mistake {
	if a.choice != nil {
		return a.checkChoice(v)
	}
	err := newValidator().Var(v, a.Rules)
	if err == nil {
		return nil
	}
	var failed validator.ValidationErrors
	if !errors.As(err, &failed) {
		panic(fmt.Sprintf("schema: rules of %s: %v", a.Path(), err))
	}
	return &mistake{"Value out of range", a.Path() + " " + a.ruleSentence(failed[0], v)}
}

func (a *Attribute) checkChoice(v any) *mistake {
	values, verb := []string{}, "is"
	switch v := v.(type) {
	case string:
		values = append(values, v)
	case []string:
		values, verb = v, "is a list of"
	}
	for _, s := range values {
		if !slices.Contains(a.choice, s) {
			return &mistake{"Value not allowed", fmt.Sprintf("%s %s %s, not %q.%s", a.Path(), verb, diag.Choices(a.choice), s, diag.DidYouMean(s, a.choice))}
		}
	}
	return nil
}

func (a *Attribute) ruleSentence(f validator.FieldError, v any) string {
	limit := a.render(limitOf(f.Param(), a.Type))
	got := a.render(v)
	switch f.Tag() {
	case "min":
		return fmt.Sprintf("is at least %s; %s is too small.", limit, got)
	case "max":
		switch a.Type {
		case TypeStrings:
			return fmt.Sprintf("has at most %s elements.", f.Param())
		case TypeString:
			return fmt.Sprintf("has at most %s characters.", f.Param())
		}
		return fmt.Sprintf("is at most %s; %s is too large.", limit, got)
	case "required":
		return "must not be empty, nor have an empty element."
	case "printascii":
		return fmt.Sprintf("has printable ASCII characters only; %q has others.", f.Value())
	case "startswith":
		return fmt.Sprintf("begins with %q; %s does not.", f.Param(), got)
	case "excludes":
		return fmt.Sprintf("must not have %q; %s has.", f.Param(), got)
	case "excludesall":
		return fmt.Sprintf("must not have any of the characters %q; %s has.", f.Param(), got)
	default:
		return fmt.Sprintf("must satisfy the rule %s %s.", f.Tag(), f.Param())
	}
}

// limitOf reads the parameter of a min or max rule as a value of type t.
func limitOf(param string, t Type) any {
	switch t {
	case TypeDuration:
		if d, err := time.ParseDuration(param); err == nil {
			return d
		}
	case TypeBytes:
		if n, err := strconv.ParseInt(param, 10, 64); err == nil {
			return units.Bytes(n)
		}
	case TypeInt:
		if n, err := strconv.Atoi(param); err == nil {
			return n
		}
	}
	return param
}

// render writes a value as a profile would.
func (a *Attribute) render(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case units.Bytes:
		return v.String()
	case time.Duration:
		return v.String()
	case string:
		return strconv.Quote(v)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}
