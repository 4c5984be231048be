package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// inherit merges what a profile inherits.
func (r *resolver) inherit(d *schema.Declaration) {
	for _, ref := range d.Inherits {
		// Everything stands upon "default" already, also the host's own default,
		// which means the built-in one by that name.
		if r.done[ref.Name] {
			continue
		}
		if i := slices.Index(r.path, ref.Name); i >= 0 {
			cycle := append(slices.Clone(r.path[i:]), ref.Name)
			r.report(d, ref, "Profiles inherit in a circle",
				fmt.Sprintf("Each of these profiles inherits the next: %s. Remove one of the steps.", strings.Join(cycle, " -> ")))
			continue
		}
		if parent := r.lookup(ref.Name); parent != nil {
			r.add(parent, ref.Place, d.Snippet(ref.Place))
		} else {
			known := r.set.names()
			r.report(d, ref, "Unknown profile",
				fmt.Sprintf("There is no profile %q to inherit.%s The profiles here are %s.", ref.Name, diag.DidYouMean(ref.Name, known), diag.List(known)))
		}
	}
}

func (r *resolver) report(d *schema.Declaration, ref schema.Reference, summary, detail string) {
	place := ref.Place
	r.diags = append(r.diags, &diag.Diagnostic{
		Severity: diag.Error, Summary: summary, Detail: detail, Range: &place, Snippet: d.Snippet(place),
	})
}
