// Package reference writes the reference documentation of the profile language
// from the tables that the program itself works with.
package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/profiles/authoring"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/jsonschema"
)

const generated = "<!-- Written by `make docs` from the tables in schema/. Change those. -->\n\n"

// Files are the pages, by their name in docs/reference.
func Files() (map[string][]byte, error) {
	document, err := JSONSchema()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"attributes.md":        attributes(),
		"files.md":             files(),
		"expressions.md":       expressions(),
		"profiles.schema.json": document,
	}, nil
}

// JSONSchema is the JSON Schema of profile files, indented.
func JSONSchema() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(jsonschema.Document()) // maps are sorted by their keys
	return b.Bytes(), err
}

func attributes() []byte {
	var b bytes.Buffer
	b.WriteString("# Attributes\n\n" + generated)
	b.WriteString("The blocks of a profile and their attributes. \"Default\" is what the built-in profile `default` gives everyone. Null, the value\n" +
		"of an attribute as well as of an expression, gives an attribute its default back.\n\n")
	b.WriteString("| type | in HCL | in YAML |\n|---|---|---|\n" +
		"| whole number | `2` | `2` |\n" +
		"| size | `\"512M\"`: a whole number and B, K, M, G or T, or KiB, MiB, GiB or TiB; all are multiples of 1024 | `512M` |\n" +
		"| duration | `\"1m30s\"`: numbers with ms, s, m or h | `1m30s` |\n" +
		"| string | `\"debian\"` | `debian` |\n" +
		"| list of strings | `[\"a\", \"b\"]` | `[a, b]` |\n" +
		"| any, as an expression | `container.cpus`, `\"${host.cpus}G\"` | `${container.cpus}`, `${host.cpus}G` |\n\n")
	for _, block := range schema.Blocks() {
		fmt.Fprintf(&b, "- [`%s`](#%s)\n", block, block)
	}
	for _, block := range schema.Blocks() {
		fmt.Fprintf(&b, "\n## %s\n", block)
		for _, a := range schema.AttributesOf(block) {
			attribute(&b, a)
		}
	}
	return b.Bytes()
}

func attribute(b *bytes.Buffer, a *schema.Attribute) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", a.Path(), a.Doc)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "- %s: %s\n", name, value)
		}
	}
	row("Type", string(a.Type))
	if choice := a.Choice(); choice != nil {
		row("Allowed", diag.Choices(choice))
	} else {
		row("Allowed", limits(a))
	}
	row("Default", code(authoring.DefaultOf(a)))
	row("Docker flag", code(a.Flag))
	row("Variable", code(a.Variable))
	for _, alias := range a.Aliases {
		row("Variable as well", code(alias))
	}
}

func limits(a *schema.Attribute) string {
	least, most := a.Limits()
	what := ""
	if a.Type == schema.TypeStrings {
		what = " elements"
	}
	switch {
	case least != "" && most != "":
		return least + " to " + most + what
	case most != "":
		return "up to " + most + what
	case least != "":
		return "from " + least + what
	default:
		return ""
	}
}

// code quotes for Markdown; an expression of several lines becomes one.
func code(text string) string {
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return ""
	}
	return "`" + text + "`"
}

func files() []byte {
	var b bytes.Buffer
	b.WriteString("# Files\n\n" + generated)
	b.WriteString("What a file in `/etc/runcvm/profiles/` has. The blocks of a profile are in [attributes.md](attributes.md), expressions in\n" +
		"[expressions.md](expressions.md). In YAML and JSON a block is a mapping, and one that has a name is a mapping from names to bodies.\n")
	for _, f := range schema.BlockDocs() {
		form(&b, f, "##")
	}
	return b.Bytes()
}

func form(b *bytes.Buffer, f schema.BlockDoc, heading string) {
	title := f.Block
	if f.Label != "" {
		title += " \"NAME\""
	}
	fmt.Fprintf(b, "\n%s %s\n\n%s", heading, title, f.Doc)
	if f.Label != "" {
		fmt.Fprintf(b, " NAME is %s.", f.Label)
	}
	b.WriteString("\n")
	if f.Settings {
		fmt.Fprintf(b, "\nIts blocks: %s.\n", blockList())
	}
	if f.Free {
		b.WriteString("\nIts attributes have the names that you give them.\n")
	}
	if f.Attributes != nil {
		b.WriteString("\n| attribute | type | |\n|---|---|---|\n")
	}
	for _, a := range f.Attributes {
		kind := string(a.Type)
		if a.Choice != nil {
			kind = diag.Choices(a.Choice)
		}
		doc := a.Doc
		if a.Required {
			doc += " It must be there."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", a.Name, kind, doc)
	}
	for _, inner := range f.Blocks {
		form(b, inner, heading+"#")
	}
}

func blockList() string {
	var links []string
	for _, block := range schema.Blocks() {
		links = append(links, fmt.Sprintf("[`%s`](attributes.md#%s)", block, block))
	}
	return strings.Join(links, ", ")
}

func expressions() []byte {
	var b bytes.Buffer
	b.WriteString("# Expressions\n\n" + generated)
	b.WriteString("A value is an expression of [HCL](https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md): arithmetic, comparisons, `a ? b : c`,\n" +
		"`[for x in list : ...]`, templates. Functions are pure; nothing of an expression reads files, the clock or the network. In YAML\n" +
		"and JSON strings are templates, so that an expression stands in `${...}`.\n\n## Variables\n\n| variable | type | |\n|---|---|---|\n")
	for _, v := range schema.VariableList() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, v.Type, v.Doc)
	}
	b.WriteString("| `var.NAME` | as declared | The value of a [`variable`](files.md#variable-name). |\n" +
		"| `local.NAME` | as computed | The value of an attribute of [`locals`](files.md#locals). |\n" +
		"| `profile.BLOCK.ATTRIBUTE` | the attribute's | In patches: a value of the merged profile. |\n")
	b.WriteString("\n## Functions\n\n| function | |\n|---|---|\n")
	for _, f := range schema.Functions() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.Signature, strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	return b.Bytes()
}
