package authoring

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
)

// Explanation is about one attribute, a block's, or all.
type Explanation struct {
	FormatVersion string      `json:"format_version"`
	Attributes    []Explained `json:"attributes"`
	// Diagnostics are what is wrong with the host's profiles, which is why some
	// that set an attribute may be missing.
	Diagnostics diag.Diagnostics `json:"diagnostics"`

	detailed bool
}

// Explained is what there is to know of an attribute.
type Explained struct {
	Path    string      `json:"path"`
	Type    schema.Type `json:"type"`
	Doc     string      `json:"doc"`
	Allowed []string    `json:"allowed,omitempty"` // the values of a choice
	Minimum string      `json:"minimum,omitempty"` // as a profile writes it; of a list, its length
	Maximum string      `json:"maximum,omitempty"`
	Default string      `json:"default"` // the built-in default's expression
	Flag    string      `json:"flag,omitempty"`
	// Variable is the environment variable that sets it, Aliases are other names
	// of that.
	Variable string   `json:"variable"`
	Aliases  []string `json:"aliases,omitempty"`
	// SetBy lists the profiles that set it, the default first, and the patches.
	SetBy []SetBy `json:"set_by"`
}

// SetBy is a profile or a patch that sets an attribute.
type SetBy struct {
	Kind       string `json:"kind"` // "profile" or "patch"
	Name       string `json:"name"`
	Builtin    bool   `json:"builtin"`
	Where      string `json:"where"` // file:line:column
	Expression string `json:"expression"`
}

// Explain explains the attribute or the block called name, or all attributes
// when name is empty, and says which profiles of this host set them.
func Explain(name string, host Host) (*Explanation, error) {
	attributes := schema.Attributes()
	if name != "" {
		var err error
		if attributes, err = schema.Lookup(name); err != nil {
			return nil, err
		}
	}
	set, diags := host.load()
	e := &Explanation{FormatVersion: FormatVersion, Diagnostics: notNil(diags)}
	e.detailed = len(attributes) == 1 && name != attributes[0].Block
	setters := settersOf(set)
	for _, a := range attributes {
		least, most := a.Limits()
		e.Attributes = append(e.Attributes, Explained{
			Path: a.Path(), Type: a.Type, Doc: a.Doc, Allowed: a.Choice(), Minimum: least, Maximum: most,
			Default: DefaultOf(a), Flag: a.Flag, Variable: a.Variable, Aliases: a.Aliases, SetBy: notNil(setters[a.Path()]),
		})
	}
	return e, nil
}

// DefaultOf is the expression that the built-in default gives an attribute, or the
// value of one of a labelled block that does not set it.
func DefaultOf(a *schema.Attribute) string {
	for _, d := range profiles.Builtins() {
		if d.Name != profiles.DefaultName {
			continue
		}
		for _, declared := range d.Declared() {
			if declared.Attribute == a {
				return declared.Expression
			}
		}
	}
	if a.Preset != nil {
		return a.Render(a.Preset)
	}
	return ""
}

// settersOf lists who sets each attribute, by its path.
func settersOf(set *profiles.Set) map[string][]SetBy {
	setters := map[string][]SetBy{}
	// The defaults come first, since they are merged first.
	entries := set.Find(profiles.DefaultName)
	for _, e := range set.Entries() {
		if e.Name != profiles.DefaultName {
			entries = append(entries, e)
		}
	}
	add := func(by SetBy, list []schema.Declared) {
		for _, declared := range list {
			by.Where, by.Expression = declared.Place.String(), declared.Expression
			path := declared.Attribute.RowPath()
			setters[path] = append(setters[path], by)
		}
	}
	for _, e := range entries {
		add(SetBy{Kind: "profile", Name: e.Name, Builtin: e.Builtin}, e.Declared())
	}
	for _, p := range set.Patches() {
		add(SetBy{Kind: "patch", Name: p.Name, Builtin: p.Builtin}, p.Declared())
	}
	return setters
}

// WriteText draws one attribute in full, several as a table.
func (e *Explanation) WriteText(w io.Writer, style terminal.Style) error {
	var b strings.Builder
	if e.detailed {
		e.Attributes[0].draw(&b, style)
	} else {
		drawTable(&b, e.Attributes, style)
	}
	if e.Diagnostics.HasErrors() {
		fmt.Fprintf(&b, "\n%s This host's profiles have mistakes, so that some may be missing here: run \"runcvm validate\".\n", style.Yellow("Warning:"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (x *Explained) draw(w io.Writer, style terminal.Style) {
	fmt.Fprintf(w, "%s (%s)\n\n%s\n\n", style.Bold(x.Path), x.Type, x.Doc)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", name, value)
		}
	}
	row("allowed", x.values())
	row("default", x.Default)
	row("docker flag", x.Flag)
	row("variable", strings.Join(append([]string{x.Variable}, x.Aliases...), ", "))
	t.Flush() //nolint:errcheck // a strings.Builder takes everything
	fmt.Fprintf(w, "\n%s\n", style.Bold("Set here by"))
	t = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range x.SetBy {
		fmt.Fprintf(t, "  %s %s\t= %s\t# %s\n", s.Kind, s.Name, oneLine(s.Expression), s.Where)
	}
	t.Flush() //nolint:errcheck // as above
}

// values says which values are allowed, "" when the type says it all.
func (x *Explained) values() string {
	list := x.Type == schema.TypeStrings
	switch {
	case x.Allowed != nil:
		return diag.Choices(x.Allowed)
	case x.Minimum != "" && x.Maximum != "":
		return x.Minimum + " to " + x.Maximum
	case x.Maximum != "" && list:
		return "up to " + x.Maximum + " elements"
	case x.Maximum != "" && x.Type == schema.TypeString:
		return "up to " + x.Maximum + " characters"
	case x.Maximum != "":
		return "up to " + x.Maximum
	case x.Minimum != "":
		return "from " + x.Minimum
	default:
		return ""
	}
}

func drawTable(w io.Writer, attributes []Explained, style terminal.Style) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, x := range attributes {
		block, _, _ := strings.Cut(x.Path, ".")
		if i == 0 || !strings.HasPrefix(attributes[i-1].Path, block+".") {
			if i > 0 {
				fmt.Fprintln(t)
			}
			// A heading with an escape sequence must not widen a column.
			t.Flush() //nolint:errcheck // as above
			fmt.Fprintln(w, style.Bold(block))
		}
		what := x.values()
		if what == "" {
			what = string(x.Type)
		}
		fmt.Fprintf(t, "  %s\t%s\t= %s\n", x.Path, what, oneLine(x.Default))
	}
	t.Flush() //nolint:errcheck // as above
}

// oneLine joins an expression of several lines.
func oneLine(expression string) string { return strings.Join(strings.Fields(expression), " ") }
