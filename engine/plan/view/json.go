package view

import (
	"encoding/json"
	"io"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/plan/diff"
)

// DiffFormatVersion is the version of a comparison's JSON. It changes when a
// reader of the older form would misunderstand the newer one.
const DiffFormatVersion = "1"

// machine shows JSON. A plan is in its canonical form, which --against and the
// supervisor read.
type machine struct{ out io.Writer }

// comparison is the JSON of a Comparison.
type comparison struct {
	FormatVersion string        `json:"format_version"`
	Differs       bool          `json:"differs"`
	Class         diff.Class    `json:"class"` // of the change that needs most
	Before        side          `json:"before"`
	After         side          `json:"after"`
	Changes       []diff.Change `json:"changes"`
}

type side struct {
	Name   string   `json:"name"`
	Digest string   `json:"digest"`
	Notes  []string `json:"notes,omitempty"`
}

func (m *machine) Plan(p *plan.Plan, _ []string) error {
	data, err := plan.Encode(p)
	if err != nil {
		return err
	}
	_, err = m.out.Write(data)
	return err
}

func (m *machine) Comparison(c *Comparison) error {
	document := comparison{
		FormatVersion: DiffFormatVersion,
		Differs:       diff.Differs(c.Changes),
		Class:         diff.Strongest(c.Changes),
		Changes:       append([]diff.Change{}, c.Changes...),
	}
	for _, s := range []struct {
		from *Side
		to   *side
	}{{&c.Before, &document.Before}, {&c.After, &document.After}} {
		if _, err := plan.Encode(s.from.Plan); err != nil { // which computes the digest
			return err
		}
		*s.to = side{Name: s.from.Name, Digest: s.from.Plan.Digest, Notes: s.from.Notes}
	}
	enc := json.NewEncoder(m.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(document)
}
