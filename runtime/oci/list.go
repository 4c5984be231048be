package oci

import (
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles/authoring"
	"github.com/runcvm/runcvm/runtime/facts"
	"github.com/runcvm/runcvm/runtime/install"
	"github.com/runcvm/runcvm/runtime/oci/dockerrun"
	"github.com/runcvm/runcvm/schema"
)

// IDs lists the containers below the runtime's root, sorted; none when the
// folder cannot be read.
func (r *Runtime) IDs() []string {
	entries, err := os.ReadDir(filepath.Dir(r.StateDir("any")))
	if err != nil {
		return nil
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// AllIDs lists the containers of every root.
func (r *Runtime) AllIDs() []string {
	var ids []string
	for _, c := range r.containers() {
		ids = append(ids, c.id)
	}
	slices.Sort(ids)
	return ids
}

// AskedOf reads docker run's flags, and the image and command that follow them,
// for a profile that asks for the same.
func AskedOf(args []string) (*authoring.Run, error) {
	options, err := dockerrun.Parse(args)
	if err != nil {
		return nil, err
	}
	asked, err := options.Asked()
	if err != nil {
		return nil, err
	}
	return &authoring.Run{
		Limits: engine.Variables(asked.Limits, &plan.Facts{}),
		Labels: asked.Labels, Env: asked.Env, Others: asked.Others,
	}, nil
}

// HostVariables are what expressions see on this host in a container without
// limits, whose image has no labels.
func (r *Runtime) HostVariables() (schema.Variables, error) {
	tools, err := install.ReadTools(filepath.Join(r.Prefix, install.ToolRoot))
	if err != nil {
		tools = plan.Tools{} // not installed: its versions are empty
	}
	f, err := facts.Gather(facts.Options{CacheDir: r.RunDir, Tools: tools})
	if err != nil {
		return schema.Variables{}, err
	}
	return engine.Variables(&specs.Spec{}, &f), nil
}
