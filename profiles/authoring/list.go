package authoring

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles"
)

// Listing is the profiles of a host.
type Listing struct {
	FormatVersion string           `json:"format_version"`
	Profiles      []Listed         `json:"profiles"`
	Diagnostics   diag.Diagnostics `json:"diagnostics"`
}

// Listed is one of them.
type Listed struct {
	Name        string   `json:"name"`
	Builtin     bool     `json:"builtin"`
	Where       string   `json:"where"` // file:line:column of the name
	Description string   `json:"description,omitempty"`
	Inherits    []string `json:"inherits"`
}

// List lists the built-in profiles and the host's.
func List(host Host) *Listing {
	set, diags := host.load()
	l := &Listing{FormatVersion: FormatVersion, Diagnostics: notNil(diags)}
	for _, e := range set.Entries() {
		l.Profiles = append(l.Profiles, listed(e))
	}
	return l
}

func listed(e profiles.Entry) Listed {
	l := Listed{Name: e.Name, Builtin: e.Builtin, Where: e.Place.String(), Description: e.Description, Inherits: []string{}}
	for _, parent := range e.Inherits {
		l.Inherits = append(l.Inherits, parent.Name)
	}
	return l
}

// WriteText draws a table.
func (l *Listing) WriteText(w io.Writer, _ terminal.Style) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tWHERE\tINHERITS\tDESCRIPTION")
	for _, p := range l.Profiles {
		inherits := strings.Join(p.Inherits, ", ")
		if inherits == "" {
			inherits = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Name, p.Where, inherits, oneLine(p.Description))
	}
	return t.Flush()
}

// Names lists the names of the host's profiles, for completion.
func Names(host Host) []string {
	set, _ := host.load()
	return set.Names()
}

// errUnknown says that there is no profile of that name.
func errUnknown(set *profiles.Set, name string, host Host) error {
	var diags diag.Diagnostics
	diags.Errorf("Unknown profile", "There is no profile %q.%s The profiles here are %s; a host's own are in %s.",
		name, diag.DidYouMean(name, set.Names()), diag.List(set.Names()), host.Profiles)
	return diags
}
