package oci

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/runtime/image"
	"github.com/runcvm/runcvm/runtime/supervisor"
)

// container is one that RunCVM has created and that still exists.
type container struct {
	id, dir string // dir is the state folder
}

// findContainer finds a container by its id, its name in Docker, or the
// beginning of its id, as Docker takes them: the first of these that there is.
// Unlike the verbs that engines call, it looks below every --root.
func (r *Runtime) findContainer(asked string) (*container, error) {
	if checkID(asked) == nil {
		if dir := r.StateDir(asked); hasPlan(dir) {
			return &container{asked, dir}, nil
		}
	}
	all := r.containers()
	for _, is := range []func(*container) bool{
		func(c *container) bool { return c.id == asked },
		func(c *container) bool { return c.name() == strings.TrimPrefix(asked, "/") && asked != "" },
		func(c *container) bool { return asked != "" && strings.HasPrefix(c.id, asked) },
	} {
		found := slices.DeleteFunc(slices.Clone(all), func(c *container) bool { return !is(c) })
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return nil, ambiguous(asked, found)
		}
	}
	return nil, noContainer(asked, all)
}

// containers lists those of all roots.
func (r *Runtime) containers() []*container {
	dirs, err := filepath.Glob(filepath.Join(r.RunDir, "state", "*", "*"))
	if err != nil { // the pattern is malformed by a folder's odd name
		return nil
	}
	var all []*container
	for _, dir := range dirs {
		if hasPlan(dir) {
			all = append(all, &container{filepath.Base(dir), dir})
		}
	}
	return all
}

func hasPlan(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, supervisor.PlanFile))
	return err == nil
}

// name is the container's name in Docker, empty when it has none. One whose
// files cannot be read is not the one that is looked for.
func (c *container) name() string {
	bundle, err := os.ReadFile(filepath.Join(c.dir, bundleFile))
	if err != nil {
		return ""
	}
	doc, err := readBundle(string(bundle))
	if err != nil {
		return ""
	}
	name, err := image.ContainerName(&doc.Spec, c.id)
	if err != nil {
		return ""
	}
	return name
}

// label names the container for people.
func (c *container) label() string {
	if name := c.name(); name != "" {
		return name
	}
	return c.id
}

func ambiguous(asked string, found []*container) error {
	var ids []string
	for _, c := range found {
		ids = append(ids, c.id)
	}
	var diags diag.Diagnostics
	diags.Errorf("Ambiguous container", "%q stands for several containers: %s. Give more of the ID of the one that is meant.", asked, strings.Join(ids, ", "))
	return diags
}

func noContainer(asked string, all []*container) error {
	var labels []string
	for _, c := range all {
		labels = append(labels, c.label())
	}
	there := "No machine of RunCVM runs here now."
	if len(labels) > 0 {
		there = "Those that run are " + diag.List(labels) + "."
	}
	var diags diag.Diagnostics
	diags.Errorf("No such container",
		"RunCVM runs no container %q.%s %s A container that has ended has no plan: compare its image with --image, or start it.", asked, diag.DidYouMean(asked, labels), there)
	return diags
}
