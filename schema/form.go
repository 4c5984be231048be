package schema

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Form is a notation of the profile language.
type Form string

// The forms. They have the same meaning: what YAML and JSON write as a mapping
// is HCL's block, and their strings are HCL's, with "${container.cpus}" for an
// expression.
const (
	HCL  Form = "HCL"
	YAML Form = "YAML"
	JSON Form = "JSON"
)

var extensions = []struct {
	extension string
	form      Form
}{{".hcl", HCL}, {".yaml", YAML}, {".yml", YAML}, {".json", JSON}}

// Extensions lists the endings of the names of files that can hold profiles.
func Extensions() []string {
	var list []string
	for _, e := range extensions {
		list = append(list, e.extension)
	}
	return list
}

// FormOf returns the form of a file by its name's ending, "" for another one.
func FormOf(name string) Form {
	for _, e := range extensions {
		if filepath.Ext(name) == e.extension {
			return e.form
		}
	}
	return ""
}

// assign writes an attribute as the form has it, for messages.
func (f Form) assign(name, value string) string {
	switch f {
	case YAML:
		return name + ": " + value
	case JSON:
		return strconv.Quote(name) + ": " + value
	default:
		return name + " = " + value
	}
}

// expression writes an expression as an attribute's value.
func (f Form) expression(e string) string {
	switch f {
	case YAML:
		return "'${" + e + "}'"
	case JSON:
		return strconv.Quote("${" + e + "}")
	default:
		return e
	}
}

// block writes blocks, each inside of the one before it, for messages. A name of
// a block is a step in quotes.
func (f Form) block(inner string, steps ...string) string {
	for _, step := range slices.Backward(steps) {
		name := strings.Trim(step, `"`)
		switch {
		case f == YAML:
			inner = fmt.Sprintf("%s: {%s}", name, inner)
		case f == JSON:
			inner = fmt.Sprintf("%q: {%s}", name, inner)
		case name != step:
			inner = fmt.Sprintf("%s { %s }", step, inner)
		case strings.HasPrefix(inner, `"`):
			inner = step + " " + inner
		default:
			inner = fmt.Sprintf("%s { %s }", step, inner)
		}
	}
	return inner
}
