package oci

import (
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/runtime/facts"
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

// HostVariables are what expressions see on this host in a container without
// limits, whose image has no labels.
func (r *Runtime) HostVariables() (schema.Variables, error) {
	f, err := facts.Gather(facts.Options{CacheDir: r.RunDir})
	if err != nil {
		return schema.Variables{}, err
	}
	return engine.Variables(&specs.Spec{}, &f), nil
}
