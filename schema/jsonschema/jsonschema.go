// Package jsonschema describes the YAML and JSON form of profile files as a JSON
// Schema (draft 2020-12), for editors. It is made from the attribute table. What
// it accepts may still be wrong: an expression's value is known only to the
// engine.
package jsonschema

import (
	"strconv"
	"strings"

	"github.com/runcvm/runcvm/schema"
)

// Object is a JSON object.
type Object = map[string]any

// ID is the identifier of the schema, which names no place.
const ID = "urn:runcvm:profiles:1"

// patterns of strings. A template has an interpolation or a directive.
const (
	templatePattern = `[$%]\{`
	sizePattern     = `^[0-9]+([bB]|[kKmMgGtT]([iI][bB])?)$`
	// The grammar of Go's time.ParseDuration.
	durationPattern = `^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$`
	namePattern     = `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`
)

// Document is the schema of a whole file.
func Document() Object {
	defs := Object{
		"expression": Object{
			"type": "string", "pattern": templatePattern,
			"description": `An expression within a template: "${container.cpus}".`,
		},
	}
	properties := Object{}
	for _, f := range schema.BlockDocs() {
		defs[f.Block] = form(f)
		properties[f.Block] = labelled(f, Object{"$ref": "#/$defs/" + f.Block})
	}
	for _, block := range schema.Blocks() {
		defs["block."+block] = tableBlock(block)
	}
	return Object{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"$id":                  ID,
		"title":                "RunCVM profiles",
		"description":          "Profiles, patches, policies and variables of RunCVM, in YAML or JSON.",
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
		"$defs":                defs,
	}
}

// labelled is a mapping from names to bodies for a block that has a name, else
// the body. A limit's names are attributes.
func labelled(f schema.BlockDoc, body Object) Object {
	if f.Label == "" {
		return body
	}
	names := Object{"pattern": namePattern}
	if f.Block == "limit" {
		names = Object{"enum": limited()}
	}
	return Object{
		"type": "object", "description": f.Doc,
		"propertyNames": names, "additionalProperties": body,
	}
}

// limited lists the attributes that a policy can limit.
func limited() []string {
	var paths []string
	for _, a := range schema.Attributes() {
		if a.Type == schema.TypeInt || a.Type == schema.TypeBytes || a.Type == schema.TypeDuration {
			paths = append(paths, a.Path())
		}
	}
	return paths
}

func form(f schema.BlockDoc) Object {
	o := Object{"type": "object", "description": f.Doc}
	if f.Free {
		return o
	}
	properties := Object{}
	var required []string
	for _, a := range f.Attributes {
		properties[a.Name] = formAttribute(a)
		if a.Required {
			required = append(required, a.Name)
		}
	}
	for _, inner := range f.Blocks {
		properties[inner.Block] = labelled(inner, form(inner))
		if inner.Settings {
			required = append(required, inner.Block)
		}
	}
	if f.Settings {
		for _, block := range schema.Blocks() {
			properties[block] = Object{"$ref": "#/$defs/block." + block}
		}
	}
	o["properties"], o["additionalProperties"] = properties, false
	if required != nil {
		o["required"] = required
	}
	return o
}

func formAttribute(a schema.FieldDoc) Object {
	o := Object{"description": a.Doc}
	switch {
	case a.Choice != nil:
		o["enum"] = a.Choice
	case a.Type == schema.FieldText:
		o["type"] = "string"
	case a.Type == schema.FieldTexts:
		o["type"], o["items"] = "array", Object{"type": "string"}
	case a.Type == schema.FieldFlag:
		o["type"] = "boolean"
	case a.Type == schema.FieldCondition:
		o["anyOf"] = []any{Object{"type": []string{"boolean", "null"}}, reference}
	case a.Type == schema.FieldBound:
		o["type"] = []string{"integer", "string", "null"}
	}
	return o
}

var reference = Object{"$ref": "#/$defs/expression"}

func tableBlock(block string) Object {
	properties := Object{}
	for _, a := range schema.AttributesOf(block) {
		properties[a.Name] = Object{
			"description": a.Doc,
			"anyOf":       []any{value(a), reference, Object{"type": "null"}},
		}
	}
	one := Object{"type": "object", "properties": properties, "additionalProperties": false}
	if !schema.Labelled(block) {
		return one
	}
	return Object{"type": "object", "propertyNames": Object{"pattern": schema.LabelPattern}, "additionalProperties": one}
}

// value describes an attribute's value where it is no expression.
func value(a *schema.Attribute) Object {
	switch a.Type {
	case schema.TypeBool:
		return Object{"type": "boolean"}
	case schema.TypeInt:
		o := Object{"type": "integer"}
		for _, r := range a.RuleList() {
			if n, err := strconv.Atoi(r.Parameter); err == nil {
				o[map[string]string{"min": "minimum", "max": "maximum"}[r.Name]] = n
			}
		}
		delete(o, "")
		return o
	case schema.TypeBytes:
		return Object{"type": "string", "pattern": sizePattern, "examples": examples(a)}
	case schema.TypeDuration:
		return Object{"type": "string", "pattern": durationPattern, "examples": examples(a)}
	case schema.TypeStrings:
		return list(a)
	default:
		if choice := a.Choice(); choice != nil {
			return Object{"enum": choice}
		}
		return text(a, false)
	}
}

func list(a *schema.Attribute) Object {
	o := Object{"type": "array", "items": text(a, true)}
	for _, r := range a.RuleList() {
		if n, err := strconv.Atoi(r.Parameter); err == nil && !r.Element {
			switch r.Name {
			case "min":
				o["minItems"] = n
			case "max":
				o["maxItems"] = n
			}
		}
	}
	return o
}

// text describes a string, or a list's element, by the rules that JSON Schema
// can say.
func text(a *schema.Attribute, element bool) Object {
	o := Object{"type": "string"}
	for _, r := range a.RuleList() {
		if r.Element != element {
			continue
		}
		switch r.Name {
		case "required":
			o["minLength"] = 1
		case "min", "max":
			if n, err := strconv.Atoi(r.Parameter); err == nil {
				o[r.Name+"Length"] = n
			}
		case "oneof":
			o["enum"] = strings.Fields(r.Parameter)
		}
	}
	return o
}

// examples are the limits, which show the form.
func examples(a *schema.Attribute) []string {
	least, most := a.Limits()
	var all []string
	for _, limit := range []string{least, most} {
		if limit != "" {
			all = append(all, limit)
		}
	}
	return all
}
