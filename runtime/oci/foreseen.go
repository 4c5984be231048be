package oci

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/runtime/image"
	"github.com/runcvm/runcvm/runtime/oci/dockerrun"
)

// unknownID stands for the id of a container that does not exist.
var unknownID = strings.Repeat("0", 64)

// imageSubject foresees the container that docker run would make of an image.
func (r *Runtime) imageSubject(ctx context.Context, s *Source) (*subject, error) {
	config, engine, err := image.Inspect(ctx, s.Image)
	if err != nil {
		return nil, err
	}
	where := dockerrun.Where{
		ID: unknownID, RootDir: engine.DockerRootDir,
		Rootfs: filepath.Join(engine.DockerRootDir, "rootfs", unknownID),
	}
	sub, err := r.foresee(s, config, where)
	if err != nil {
		return nil, err
	}
	sub.name = "a container of the image " + s.Image
	sub.notes = append(sub.notes, "Docker gives the container an ID, which its root's path, its host name and the paths of its files are made from; they have zeros here.")
	return sub, nil
}

// shell is what runs in a root that comes without an image's configuration.
const shell = "/bin/sh"

// rootfsSubject foresees the container that docker run would make of a root
// file system that has no configuration.
func (r *Runtime) rootfsSubject(_ context.Context, s *Source) (*subject, error) {
	root, err := filepath.Abs(s.Rootfs)
	if err != nil {
		return nil, err
	}
	if err := checkFolder(root); err != nil {
		return nil, err
	}
	where := dockerrun.Where{ID: unknownID, RootDir: "/var/lib/docker", Rootfs: root}
	sub, err := r.foresee(s, &image.Config{Cmd: []string{shell}}, where)
	if err != nil {
		return nil, err
	}
	sub.name = "a container of the root file system " + root
	return sub, nil
}

// foresee builds the spec and gathers the facts of a container to be.
func (r *Runtime) foresee(s *Source, config *image.Config, where dockerrun.Where) (*subject, error) {
	options, err := dockerrun.Parse(s.Run)
	if err != nil {
		return nil, err
	}
	labels, err := options.Labels()
	if err != nil {
		return nil, err
	}
	spec, notes, err := options.Spec(config, where)
	if err != nil {
		return nil, err
	}
	sub := &subject{spec: spec, notes: notes, runtime: r}
	if sub.facts, err = r.gatherFor(s, "", spec); err != nil {
		return nil, err
	}
	// A file of facts has those of another container: these are of this one.
	all := map[string]string{}
	maps.Copy(all, config.Labels)
	maps.Copy(all, labels)
	if s.Facts != "" {
		sub.facts.Image = plan.Image{}
	}
	sub.facts.Image.Labels = profiles.WithAnnotations(all, spec.Annotations)
	sub.facts.Image.Ports = slices.Sorted(maps.Keys(config.ExposedPorts))
	sub.facts.Image.Env, sub.facts.Image.EnvKnown = image.Asking(config.Env), true
	sub.facts.Bundle.RootPath = where.Rootfs
	sub.facts.Bundle.StateDir = r.StateDir(where.ID)
	return sub, nil
}
