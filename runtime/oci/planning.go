package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/plan/diff"
	"github.com/runcvm/runcvm/engine/plan/view"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/runtime/supervisor"
)

// Planning is what `plan` is asked for.
type Planning struct {
	Source Source
	// Against names what the plan is compared with; see against. Empty compares a
	// container with its running machine, and other sources with nothing.
	Against string
	// Out is a file that receives the plan as JSON; empty for none.
	Out string
}

// Planned is what `plan` shows: a plan, or how one differs from another.
type Planned struct {
	Plan       *plan.Plan
	Notes      []string
	Comparison *view.Comparison // nil when nothing is compared
}

// Differs says whether a comparison found another machine.
func (p *Planned) Differs() bool { return p.Comparison != nil && diff.Differs(p.Comparison.Changes) }

// Show shows it in a view.
func (p *Planned) Show(v view.View) error {
	if p.Comparison != nil {
		return v.Comparison(p.Comparison)
	}
	return v.Plan(p.Plan, p.Notes)
}

// MakePlan compiles the plan of a source, and compares it where that is asked
// for.
func (r *Runtime) MakePlan(ctx context.Context, o Planning) (*Planned, error) {
	s, err := r.read(ctx, o.Source)
	if err != nil {
		return nil, err
	}
	p, err := s.runtime.compile(s.spec, &s.facts)
	if err != nil {
		return nil, err
	}
	planned := &Planned{Plan: p, Notes: s.notes}
	var before *view.Side
	switch {
	case o.Against != "":
		before, err = r.against(o.Against, s)
	case s.running != nil:
		before = &view.Side{Name: "the running machine", Plan: s.running}
	}
	if err != nil {
		return nil, err
	}
	if before != nil {
		changes, err := diff.Diff(before.Plan, p)
		if err != nil {
			return nil, err
		}
		planned.Comparison = &view.Comparison{
			Before: *before, After: view.Side{Name: s.name, Plan: p, Notes: s.notes}, Changes: changes,
		}
	}
	if o.Out != "" {
		return planned, writePlan(o.Out, p)
	}
	return planned, nil
}

// writePlan replaces the file as a whole, so that nobody reads half a plan.
func writePlan(path string, p *plan.Plan) error {
	data, err := plan.Encode(p)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// FactsOf returns the facts that the plan of a source is compiled with.
func (r *Runtime) FactsOf(ctx context.Context, source Source) (plan.Facts, error) {
	s, err := r.read(ctx, source)
	if err != nil {
		return plan.Facts{}, err
	}
	return s.facts, nil
}

// What may stand before the name in --against.
const (
	profilePrefix   = "profile:"
	containerPrefix = "container:"
)

// against finds the other side of a comparison: "profile:NAME", which compiles
// s with that profile in the place of those that its image asks for,
// "container:ID", or without such a prefix the first of these that there is: a
// file with a plan, a profile, a running container.
func (r *Runtime) against(asked string, s *subject) (*view.Side, error) {
	names, err := s.runtime.profileNames()
	if err != nil {
		return nil, err
	}
	if name, ok := strings.CutPrefix(asked, profilePrefix); ok {
		if !slices.Contains(names, name) {
			return nil, noProfile(name, names)
		}
		return s.withProfile(name)
	}
	if id, ok := strings.CutPrefix(asked, containerPrefix); ok {
		return r.runningSide(id)
	}
	p, err := readPlan(asked)
	if err == nil {
		return &view.Side{Name: "the plan " + asked, Plan: p}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(asked, filepath.Separator) {
		return nil, err
	}
	if slices.Contains(names, asked) {
		return s.withProfile(asked)
	}
	side, err := r.runningSide(asked)
	if err != nil {
		return nil, notComparable(asked, names)
	}
	return side, nil
}

func notComparable(asked string, names []string) error {
	var diags diag.Diagnostics
	diags.Errorf("Nothing to compare with",
		"%q is no file with a plan, no profile and no running container.%s Write such a file with --out FILE; the profiles here are %s.", asked, diag.DidYouMean(asked, names), diag.List(names))
	return diags
}

func noProfile(name string, names []string) error {
	var diags diag.Diagnostics
	diags.Errorf("Unknown profile", "There is no profile %q to compare with.%s The profiles here are %s.", name, diag.DidYouMean(name, names), diag.List(names))
	return diags
}

// withProfile compiles the subject anew with one profile.
func (s *subject) withProfile(name string) (*view.Side, error) {
	request := profiles.NewRequest(s.spec.Process, s.facts.Image)
	request.Image.Labels = maps.Clone(request.Image.Labels)
	if request.Image.Labels == nil {
		request.Image.Labels = map[string]string{}
	}
	request.Image.Labels[profiles.Label] = name
	p, err := s.runtime.compileWith(s.spec, &s.facts, request)
	if err != nil {
		return nil, err
	}
	return &view.Side{Name: "the same with profile " + name, Plan: p}, nil
}

// profileNames lists the profiles that there are.
func (r *Runtime) profileNames() ([]string, error) {
	set, diags := profiles.Load(r.ProfilesDir)
	return set.Names(), diags.Err()
}

// runningSide is the plan of a running machine.
func (r *Runtime) runningSide(asked string) (*view.Side, error) {
	c, err := r.findContainer(asked)
	if err != nil {
		return nil, err
	}
	p, err := readPlan(filepath.Join(c.dir, supervisor.PlanFile))
	if err != nil {
		return nil, err
	}
	return &view.Side{Name: "the running machine of " + c.label(), Plan: p}, nil
}
