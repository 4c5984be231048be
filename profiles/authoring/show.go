package authoring

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
)

// Shown is a profile as its file has it. There are two of them where the host
// has one with the name of a built-in one.
type Shown struct {
	FormatVersion string        `json:"format_version"`
	Profiles      []ShownSource `json:"profiles"`
}

// ShownSource is the text of one profile.
type ShownSource struct {
	Listed
	Source string `json:"source"`
}

// Show shows the text of the profiles called name.
func Show(name string, host Host) (*Shown, error) {
	set, diags := host.load()
	found := set.Find(name)
	if found == nil {
		if diags.HasErrors() { // it may be in a file that has mistakes
			return nil, diags
		}
		return nil, errUnknown(set, name, host)
	}
	s := &Shown{FormatVersion: FormatVersion}
	for _, e := range found {
		s.Profiles = append(s.Profiles, ShownSource{listed(e), e.Source()})
	}
	return s, nil
}

// WriteText writes the text below its place.
func (s *Shown) WriteText(w io.Writer, style terminal.Style) error {
	for i, p := range s.Profiles {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := fmt.Fprintf(w, "%s\n%s\n", style.Dim("# "+p.Where), p.Source); err != nil {
			return err
		}
	}
	return nil
}

// Resolved is what a container gets that asks for a profile and sets no limits.
type Resolved struct {
	FormatVersion string          `json:"format_version"`
	Name          string          `json:"name"`
	Profiles      []string        `json:"profiles"` // in the order in which they are merged
	Attributes    []ResolvedValue `json:"attributes"`
	Warnings      []plan.Warning  `json:"warnings"`
}

// ResolvedValue is an attribute's value with its origin.
type ResolvedValue struct {
	Path   string      `json:"path"`
	Value  any         `json:"value"`
	Origin plan.Origin `json:"origin"`

	attribute *schema.Attribute
}

// Resolve merges what the profile name stands upon and the profile, with the
// variables that expressions see.
func Resolve(name string, host Host, variables schema.Variables) (*Resolved, error) {
	set, diags := host.load()
	if !diags.HasErrors() && set.Find(name) == nil {
		return nil, errUnknown(set, name, host)
	}
	// A variable asks, so that what policies refuse to images does not count.
	request := profiles.Request{Image: plan.Image{EnvKnown: true}, Env: []string{schema.VariablePrefix + "PROFILE=" + name}}
	p, more := profiles.Resolve(set, request, variables)
	if diags = append(diags, more...); diags.HasErrors() {
		diags.Sort()
		return nil, diags
	}
	r := &Resolved{FormatVersion: FormatVersion, Name: name, Profiles: p.Names, Warnings: notNil(p.Warnings)}
	for _, a := range p.Attributes() {
		r.Attributes = append(r.Attributes, ResolvedValue{Path: a.Path(), Value: a.Plain(p.Value(a)), Origin: p.Origin(a), attribute: a})
	}
	return r, nil
}

// WriteText writes the values as a profile, with the origins as comments.
func (r *Resolved) WriteText(w io.Writer, style terminal.Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# What a container without limits of its own gets here. Merged, later wins: %s.\n", strings.Join(r.Profiles, ", "))
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "# Warning: %s: %s\n", warning.Summary, oneLine(warning.Detail))
	}
	fmt.Fprintf(&b, "profile %q {\n", r.Name)
	block := ""
	for _, v := range r.Attributes {
		heading := v.attribute.Block
		if v.attribute.Label != "" {
			heading += fmt.Sprintf(" %q", v.attribute.Label)
		}
		if heading != block {
			if block != "" {
				b.WriteString("}\n\n")
			}
			block = heading
			fmt.Fprintf(&b, "%s {\n", block)
		}
		value, err := hclText(v.Value)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s = %s # %s\n", v.attribute.Name, value, origin(v.Origin))
	}
	if block != "" {
		b.WriteString("}\n")
	}
	b.WriteString("}\n")
	_, err := w.Write(dimComments(hclwrite.Format([]byte(b.String())), style))
	return err
}

// origin says where a value came from, and what it beat.
func origin(o plan.Origin) string {
	text := o.Kind + " " + strings.TrimPrefix(o.Where, "built-in ")
	for _, lost := range o.Overrode {
		text += fmt.Sprintf("; beats %s of %s %s", lost.Value, lost.Kind, strings.TrimPrefix(lost.Where, "built-in "))
	}
	return oneLine(text)
}

// hclText writes a plain value as HCL, which is JSON but for templates in its
// strings.
func hclText(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strings.TrimSpace(b.String())), nil
}

func dimComments(text []byte, style terminal.Style) []byte {
	if !style.Color {
		return text
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if at := strings.LastIndex(line, " # "); at >= 0 {
			lines[i] = line[:at] + style.Dim(strings.TrimSuffix(line[at:], "\n")) + "\n"
		}
	}
	return []byte(strings.Join(lines, ""))
}
