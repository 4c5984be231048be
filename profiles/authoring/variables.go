package authoring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/convert"
)

// FromEnvironment is FromVariables of the paths of in: those of the form
// NAME=VALUE are variables, others are files with variables.
func FromEnvironment(name string, in Input, to schema.Form) *Converted {
	var env []string
	var diags diag.Diagnostics
	for _, argument := range in.Paths {
		if strings.Contains(argument, "=") {
			env = append(env, argument)
			continue
		}
		one := Input{Host: in.Host, Paths: []string{argument}, Stdin: in.Stdin}
		files, more := one.read(func(string) bool { return false })
		diags = append(diags, more...)
		for _, f := range files {
			env = append(env, EnvFile(string(f.text))...)
		}
	}
	if diags.HasErrors() {
		return &Converted{FormatVersion: FormatVersion, To: to, Diagnostics: diags}
	}
	return FromVariables(name, env, to)
}

// FromVariables writes a profile that does what RUNCVM_* variables do. The
// environment is of the form NAME=VALUE; other variables are left out.
func FromVariables(name string, env []string, to schema.Form) *Converted {
	w := &profileWriter{name: name}
	diags := w.readVariables(env)
	return w.finish(to, diags)
}

// Run is what docker run was asked for.
type Run struct {
	Limits schema.Variables // container.* of expressions
	Labels map[string]string
	Env    []string
	Others []string // flags that have no answer in a profile: "--volume"
}

// FromRun writes a profile that does what docker run's flags do to a machine.
func FromRun(name string, run *Run, to schema.Form) *Converted {
	w := &profileWriter{name: name}
	var diags diag.Diagnostics
	if value := run.Labels[profiles.Label]; value != "" {
		diags = append(diags, w.inheritNamed("The label "+profiles.Label, value)...)
	}
	diags = append(diags, w.readVariables(run.Env)...)
	w.settings = append(w.settings, schema.FromFlags(schema.NewProfile(), run.Limits)...)
	if len(run.Others) > 0 {
		diags = append(diags, &diag.Diagnostic{
			Severity: diag.Warning, Summary: "Flags left out",
			Detail: fmt.Sprintf("A profile has nothing that answers to %s: give that to docker run as before.", strings.Join(run.Others, ", ")),
		})
	}
	return w.finish(to, diags)
}

func (w *profileWriter) readVariables(env []string) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, entry := range lastOf(env) {
		variable, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(variable, schema.VariablePrefix) || value == "":
		case variable == profiles.ProfileVariable:
			diags = append(diags, w.inheritNamed(variable, value)...)
		case strings.HasPrefix(variable, profiles.InputPrefix):
			diags = append(diags, &diag.Diagnostic{
				Severity: diag.Warning, Summary: "Variable left out", Range: &diag.Range{File: variable},
				Detail: fmt.Sprintf("%s is a value for the variables of this host's files, which a profile does not set. Give it to the container as before.", variable),
			})
		default:
			settings, wrong := schema.ReadVariable(variable, value, profiles.ProfileVariable, profiles.InputPrefix+"NAME")
			if wrong != nil {
				diags = append(diags, wrong)
			}
			w.settings = append(w.settings, settings...)
		}
	}
	return diags
}

// lastOf keeps the last of each name, sorted by name.
func lastOf(env []string) []string {
	last := map[string]string{}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		last[name] = entry
	}
	var list []string
	for _, entry := range last {
		list = append(list, entry)
	}
	slices.Sort(list)
	return list
}

// EnvFile reads variables as docker run --env-file has them: NAME=VALUE lines,
// and comments with #.
func EnvFile(text string) []string {
	var env []string
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t")
		if line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, line)
		}
	}
	return env
}

// profileWriter collects what goes into a profile.
type profileWriter struct {
	name     string
	inherits []string
	settings []schema.Setting
}

// inheritNamed has the profile inherit what a variable or a label asks for.
func (w *profileWriter) inheritNamed(place, value string) diag.Diagnostics {
	if schema.IsDocument(value) {
		var diags diag.Diagnostics
		diags.Errorf("Document in a variable", "%s holds a whole profile, which needs no conversion: write it to a file as it is, and use \"runcvm convert\" on that for another form.", place)
		return diags
	}
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			w.inherits = append(w.inherits, name)
		}
	}
	return nil
}

// finish writes the profile. A later setting of an attribute wins.
func (w *profileWriter) finish(to schema.Form, diags diag.Diagnostics) *Converted {
	c := &Converted{FormatVersion: FormatVersion, To: to}
	if !diags.HasErrors() {
		text, err := w.hcl()
		if err != nil {
			diags.Errorf("Profile not written", "%v.", err)
		} else if c.Text = text; to != schema.HCL {
			out, more := convert.Convert([]byte(text), w.name, schema.HCL, to)
			c.Text, diags = string(out), append(diags, more...)
		}
	}
	c.Diagnostics = notNil(diags)
	return c
}

func (w *profileWriter) hcl() (string, error) {
	var b strings.Builder
	heading, err := hclText(w.name)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "profile %s {\n", heading)
	if w.inherits != nil {
		list, err := hclText(w.inherits)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "inherits = %s\n", list)
	}
	block := ""
	for _, s := range w.ordered() {
		a := s.Attribute
		opening := a.Block
		if a.Label != "" {
			opening = fmt.Sprintf("%s %q", a.Block, a.Label) // see schema.LabelPattern: HCL reads it so
		}
		if opening != block {
			if block != "" {
				b.WriteString("}\n")
			}
			block = opening
			fmt.Fprintf(&b, "\n%s {\n", block)
		}
		value, err := hclText(a.Plain(s.Value))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s = %s # %s\n", a.Name, value, oneLine(s.Origin.Where))
	}
	if block != "" {
		b.WriteString("}\n")
	}
	b.WriteString("}\n")
	return string(hclwrite.Format([]byte(b.String()))), nil
}

// ordered lists the last setting of each attribute, in the order of the table and,
// where a profile has several blocks of a type, of their labels.
func (w *profileWriter) ordered() []schema.Setting {
	rows, blocks := map[string]int{}, schema.Blocks()
	for i, path := range schema.Paths() {
		rows[path] = i
	}
	last := map[*schema.Attribute]schema.Setting{}
	for _, s := range w.settings {
		last[s.Attribute] = s
	}
	return slices.SortedFunc(maps.Values(last), func(x, y schema.Setting) int {
		a, b := x.Attribute, y.Attribute
		return cmp.Or(
			cmp.Compare(slices.Index(blocks, a.Block), slices.Index(blocks, b.Block)),
			naturally(a.Label, b.Label),
			cmp.Compare(rows[a.RowPath()], rows[b.RowPath()]),
		)
	})
}

// naturally compares labels so that disk2 stands before disk10.
func naturally(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
