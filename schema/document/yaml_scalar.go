package document

import (
	"math/big"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The numbers of YAML's core schema, https://yaml.org/spec/1.2.2/#103-core-schema.
var (
	decimalInt  = regexp.MustCompile(`^[-+]?[0-9]+$`)
	octalInt    = regexp.MustCompile(`^0o[0-7]+$`)
	hexInt      = regexp.MustCompile(`^0x[0-9a-fA-F]+$`)
	float       = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	notANumber  = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
	leadingZero = regexp.MustCompile(`^[-+]?0[0-9]+$`)
)

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func (r *yamlReader) scalar(n *yaml.Node, from int) *Node {
	offsets, end := r.align(n, from)
	out := &Node{Kind: String, Text: n.Value, source: r.source, Range: r.source.between(from, end), offsets: offsets}
	tag := n.Tag
	if n.Style&yaml.TaggedStyle == 0 {
		if tag == "!" || n.Style&quoted != 0 {
			return out
		}
		tag = ""
	}
	switch tag {
	case "!!str":
		return out
	case "":
	case "!!null", "!!bool", "!!int", "!!float":
		return r.tagged(out, tag)
	case "!!binary", "!!timestamp":
		r.report(out.Range, "Unsupported tag", "A profile has no values of the type %s. Write text, in quotes.", tag)
		return nil
	default:
		r.checkTag(n, from, "!!str")
		return nil
	}
	if !r.resolve(out) {
		return nil
	}
	return out
}

// checkTag reports a tag that is not the one that the node has anyway.
func (r *yamlReader) checkTag(n *yaml.Node, from int, own string) bool {
	if n.Style&yaml.TaggedStyle == 0 || n.Tag == own {
		return true
	}
	r.report(r.source.at(from), "Unsupported tag", "A profile has no values of the type %s. Remove the tag.", n.Tag)
	return false
}

// tagged resolves a scalar to the type that its tag asks for, quotes or not.
func (r *yamlReader) tagged(n *Node, tag string) *Node {
	want := map[string][]Kind{"!!null": {Null}, "!!bool": {Bool}, "!!int": {Number}, "!!float": {Number}}[tag]
	text := n.Text
	if !r.resolve(n) {
		return nil
	}
	if !slices.Contains(want, n.Kind) || tag == "!!int" && strings.ContainsAny(n.Text, ".eE") {
		r.report(n.Range, "Unsupported tag", "%q is not of the type %s that its tag asks for. Remove the tag, or mend the value.", text, tag)
		return nil
	}
	return n
}

// resolve gives a plain scalar the type that the core schema gives it.
func (r *yamlReader) resolve(n *Node) bool {
	switch n.Text {
	case "", "~", "null", "Null", "NULL":
		n.Kind, n.Text = Null, ""
		return true
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.Kind, n.Text = Bool, strings.ToLower(n.Text)
		return true
	}
	switch {
	case leadingZero.MatchString(n.Text):
		digits := strings.TrimLeft(n.Text, "+-0")
		if digits == "" {
			digits = "0"
		}
		r.report(n.Range, "Ambiguous number",
			"%s is decimal in YAML 1.2, and octal in YAML 1.1. Write %s for the decimal number, 0o%s for an octal one, or quotes for text.", n.Text, digits, digits)
		return false
	case notANumber.MatchString(n.Text):
		r.report(n.Range, "Not a number", "%s is a number without a value, which no attribute takes. Put text in quotes.", n.Text)
		return false
	case decimalInt.MatchString(n.Text), float.MatchString(n.Text):
		n.Kind, n.Text = Number, canonical(n.Text)
	case octalInt.MatchString(n.Text), hexInt.MatchString(n.Text):
		n.Kind = Number
		if len(n.Text) <= maxDigits {
			i, ok := new(big.Int).SetString(n.Text, 0)
			if !ok {
				panic("document: the number " + n.Text + " was recognised")
			}
			n.Text = i.String()
		}
	default:
		return true
	}
	if hugeNumber(n.Text) {
		r.report(n.Range, "Number too large", "%s", tooLarge)
		return false
	}
	return true
}

// canonical writes a number of YAML as HCL and JSON do: "+.5" is "0.5", "1." is
// "1".
func canonical(text string) string {
	text = strings.TrimPrefix(text, "+")
	sign := ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	whole, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		whole, exponent = text[:i], text[i:]
	}
	whole = strings.TrimSuffix(whole, ".")
	if strings.HasPrefix(whole, ".") {
		whole = "0" + whole
	}
	return sign + whole + exponent
}
