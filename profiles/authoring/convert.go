package authoring

import (
	"fmt"
	"io"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/convert"
)

// Converted is a file of profiles in another form.
type Converted struct {
	FormatVersion string           `json:"format_version"`
	From          schema.Form      `json:"from,omitempty"`
	To            schema.Form      `json:"to"`
	Text          string           `json:"text"`
	Diagnostics   diag.Diagnostics `json:"diagnostics"`
}

// FormNames are the forms as options name them.
var FormNames = []string{"hcl", "yaml", "json"}

// FormNamed is the form that an option names.
func FormNamed(name string) (schema.Form, error) {
	for _, f := range []schema.Form{schema.HCL, schema.YAML, schema.JSON} {
		if strings.EqualFold(string(f), name) {
			return f, nil
		}
	}
	return "", fmt.Errorf("%q is not a form of profiles: use %s", name, diag.Choices(FormNames))
}

// ConvertNamed is Convert with the form that an option names, if any.
func ConvertNamed(in Input, from string, to schema.Form) (*Converted, error) {
	if len(in.Paths) != 1 {
		return nil, fmt.Errorf("%d files: convert one at a time", len(in.Paths))
	}
	var form schema.Form
	if from != "" {
		var err error
		if form, err = FormNamed(from); err != nil {
			return nil, err
		}
	}
	return Convert(in, form, to), nil
}

// Convert writes the one file of in in the form to. An empty from is found by
// the file's name or, from standard input, by its text.
func Convert(in Input, from, to schema.Form) *Converted {
	files, diags := in.read(func(string) bool { return false })
	c := &Converted{FormatVersion: FormatVersion, To: to}
	for _, f := range files {
		if c.From = from; from == "" {
			c.From = schema.FormOf(f.path)
		}
		if c.From == "" && f.path == StandardInput {
			c.From = schema.FormOfText(string(f.text))
		}
		if c.From == "" {
			diags = append(diags, &diag.Diagnostic{
				Severity: diag.Error, Summary: "Unknown form", Range: &diag.Range{File: f.path},
				Detail: fmt.Sprintf("Neither its name nor its first line says in which form %s is. Name it with --from: %s.", f.path, diag.Choices(FormNames)),
			})
			break
		}
		text, more := convert.Convert(f.text, f.path, c.From, to)
		c.Text, diags = string(text), append(diags, more...)
	}
	c.Diagnostics = notNil(diags)
	return c
}

// WriteText writes the file.
func (c *Converted) WriteText(w io.Writer, _ terminal.Style) error {
	_, err := io.WriteString(w, c.Text)
	return err
}
