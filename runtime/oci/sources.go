package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/runtime/facts"
	"github.com/runcvm/runcvm/runtime/supervisor"
)

// Source says what is to be planned: one of the first group, or the bundle in
// the working directory.
type Source struct {
	Bundle    string // folder of a bundle
	Config    string // a config.json by itself; "-" is standard input
	Container string // id, name in Docker, or the beginning of an id
	Image     string // an image that Docker has
	Rootfs    string // folder with a root file system

	// ID is the container's, for Bundle and Config, by which Docker's labels are
	// found.
	ID string
	// Run is what stands after the image in docker run's place: flags, then the
	// command. For Image and Rootfs.
	Run []string
	// Facts is a file with facts to use instead of those of this host.
	Facts string
	// Prefix and ProfilesDir, when not empty, stand in the place of those that
	// Container was created with.
	Prefix, ProfilesDir string
}

// subject is what is compiled: a source that has been read.
type subject struct {
	name    string // for people
	spec    *specs.Spec
	facts   plan.Facts
	notes   []string
	runtime *Runtime
	// running is the plan of a container's machine, nil for other sources.
	running *plan.Plan
}

// sources are the ways to read a Source, in the order of the flags.
var sources = []struct {
	flag  string
	value func(*Source) string
	read  func(*Runtime, context.Context, *Source) (*subject, error)
	// run says that Source.Run is for it; id that ID is.
	run, id bool
}{
	{"--bundle", func(s *Source) string { return s.Bundle }, (*Runtime).bundleSubject, false, true},
	{"--config", func(s *Source) string { return s.Config }, (*Runtime).configSubject, false, true},
	{"--container", func(s *Source) string { return s.Container }, (*Runtime).containerSubject, false, false},
	{"--image", func(s *Source) string { return s.Image }, (*Runtime).imageSubject, true, false},
	{"--rootfs", func(s *Source) string { return s.Rootfs }, (*Runtime).rootfsSubject, true, false},
}

// read reads the one source that s names.
func (r *Runtime) read(ctx context.Context, s Source) (*subject, error) {
	var given, all []string
	chosen := 0
	for i, source := range sources {
		all = append(all, source.flag)
		if source.value(&s) != "" {
			given, chosen = append(given, source.flag), i
		}
	}
	if len(given) > 1 {
		return nil, fmt.Errorf("%s were given together: name one of %s", diag.List(given), strings.Join(all, ", "))
	}
	if len(given) == 0 {
		s.Bundle = "."
	}
	source := sources[chosen]
	if len(s.Run) > 0 && !source.run {
		return nil, fmt.Errorf("%q: docker run's flags and a command are for --image and --rootfs; %s has its own configuration", strings.Join(s.Run, " "), source.flag)
	}
	if s.ID != "" && !source.id {
		return nil, fmt.Errorf("--id is for --bundle and --config, not for %s", source.flag)
	}
	return source.read(r, ctx, &s)
}

// gatherFor fills in the facts: those of the file that the source names, else
// this host's.
func (r *Runtime) gatherFor(s *Source, bundle string, spec *specs.Spec) (plan.Facts, error) {
	if s.Facts != "" {
		return readFacts(s.Facts)
	}
	return r.gather(s.ID, bundle, spec)
}

func (r *Runtime) bundleSubject(_ context.Context, s *Source) (*subject, error) {
	bundle, err := filepath.Abs(s.Bundle)
	if err != nil {
		return nil, err
	}
	doc, err := readBundle(bundle)
	if err != nil {
		return nil, err
	}
	f, err := r.gatherFor(s, bundle, &doc.Spec)
	return &subject{name: "the bundle " + bundle, spec: &doc.Spec, facts: f, runtime: r}, err
}

// configSubject reads a config.json by itself. What is relative in it is so to
// its folder.
func (r *Runtime) configSubject(_ context.Context, s *Source) (*subject, error) {
	path := s.Config
	var data []byte
	var err error
	if path == "-" {
		path = "standard input"
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	bundle, err := filepath.Abs(filepath.Dir(s.Config))
	if err != nil {
		return nil, err
	}
	doc, err := parseConfig(data, path, bundle)
	if err != nil {
		return nil, err
	}
	f, err := r.gatherFor(s, bundle, &doc.Spec)
	return &subject{name: "the configuration " + path, spec: &doc.Spec, facts: f, runtime: r}, err
}

// containerSubject compiles what a container was made from again: its bundle,
// the profiles as they are now, and the facts of when it was created.
func (r *Runtime) containerSubject(_ context.Context, s *Source) (*subject, error) {
	c, err := r.findContainer(s.Container)
	if err != nil {
		return nil, err
	}
	in, err := readInputs(c.dir)
	if err != nil {
		return nil, err
	}
	bundle, err := os.ReadFile(filepath.Join(c.dir, bundleFile))
	if err != nil {
		return nil, fmt.Errorf("read the container's state: %w", err)
	}
	doc, err := readBundle(string(bundle))
	if err != nil {
		return nil, err
	}
	own := *r
	own.Prefix, own.ProfilesDir = in.Prefix, in.ProfilesDir
	if s.Prefix != "" {
		own.Prefix = s.Prefix
	}
	if s.ProfilesDir != "" {
		own.ProfilesDir = s.ProfilesDir
	}
	sub := &subject{name: "the container " + c.label() + " as it would start now", spec: &doc.Spec, runtime: &own}
	if sub.running, err = readPlan(filepath.Join(c.dir, supervisor.PlanFile)); err != nil {
		return nil, err
	}
	if s.Facts != "" {
		sub.facts, err = readFacts(s.Facts)
		return sub, err
	}
	now, err := own.gather(c.id, string(bundle), &doc.Spec)
	now.Bundle.StateDir = in.Facts.Bundle.StateDir
	sub.facts = facts.Settle(in.Facts, now)
	return sub, err
}

func readFacts(path string) (plan.Facts, error) {
	var f plan.Facts
	data, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("read the facts: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("%s does not hold facts as `runcvm facts` prints them: %w", path, err)
	}
	return f, nil
}

// readPlan reads a plan that was written before.
func readPlan(path string) (*plan.Plan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	p, err := plan.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read the plan %s: %w", path, err)
	}
	return p, nil
}

// checkFolder says what is wrong with a folder that is to be a root.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("read the root file system: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("read the root file system: %s is no folder", dir)
	}
	return nil
}
