package validation

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Known is an assertion that runc passes and a virtual machine does not, with
// the reason.
type Known struct {
	Program, Assertion, Reason string
	// Varies is whether it holds at times: the program does not wait for what it
	// looks at.
	Varies bool
}

func (k Known) is(d Difference) bool { return k.Program == d.Program && k.Assertion == d.Assertion }

//go:embed known.yaml
var knownFile []byte

//go:embed figures.yaml
var figuresFile []byte

// Figures are those of the last whole run that was kept.
type Figures struct {
	Host      string    `yaml:"host"` // kernel and control groups
	Reference string    `yaml:"reference"`
	Tested    string    `yaml:"tested"`
	Programs  []Program `yaml:"programs"` // by name
}

// Program has the tallies of one program.
type Program struct {
	Name      string `yaml:"name"`
	Reference Tally  `yaml:"reference"`
	Tested    Tally  `yaml:"tested"`
}

// Totals are the sums over all the programs.
func (f *Figures) Totals() (reference, tested Tally) {
	for _, p := range f.Programs {
		reference, tested = reference.Plus(p.Reference), tested.Plus(p.Tested)
	}
	return reference, tested
}

// LoadKnown reads known.yaml: groups of assertions by program, with a reason for
// each group.
func LoadKnown() ([]Known, error) { return parseKnown(knownFile) }

func parseKnown(src []byte) ([]Known, error) {
	var groups []struct {
		Reason string              `yaml:"reason"`
		Varies bool                `yaml:"varies"`
		Fails  map[string][]string `yaml:"fails"`
	}
	if err := decode(src, "known.yaml", &groups); err != nil {
		return nil, err
	}
	var all []Known
	for i, g := range groups {
		if strings.TrimSpace(g.Reason) == "" || len(g.Fails) == 0 {
			return nil, fmt.Errorf("known.yaml: group %d needs a reason and what fails", i+1)
		}
		for _, program := range slices.Sorted(maps.Keys(g.Fails)) {
			if len(g.Fails[program]) == 0 {
				return nil, fmt.Errorf("known.yaml: group %d: %s has no assertion", i+1, program)
			}
			for _, assertion := range g.Fails[program] {
				k := Known{program, assertion, strings.Join(strings.Fields(g.Reason), " "), g.Varies}
				if slices.ContainsFunc(all, func(o Known) bool { return o.Program == k.Program && o.Assertion == k.Assertion }) {
					return nil, fmt.Errorf("known.yaml: %s: %q stands there twice", program, assertion)
				}
				all = append(all, k)
			}
		}
	}
	return all, nil
}

// LoadFigures reads figures.yaml.
func LoadFigures() (*Figures, error) {
	f := &Figures{}
	return f, decode(figuresFile, "figures.yaml", f)
}

func decode(src []byte, name string, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		return errors.Join(fmt.Errorf("%s cannot be read", name), err)
	}
	return nil
}
