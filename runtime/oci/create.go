package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/runtime/storage"
	"github.com/runcvm/runcvm/runtime/supervisor"
)

// bundleFile in the state folder holds the path of the caller's bundle. The
// config.json beside it is ours: the caller's is never changed.
const bundleFile = "bundle"

// configFile is the name of a bundle's configuration.
const configFile = "config.json"

// CreateOptions are `create`'s.
type CreateOptions struct {
	ID       string
	Bundle   string
	RuncArgs []string // runc's options without --bundle
}

// Create prepares the container's VM and creates the container.
func (r *Runtime) Create(ctx context.Context, o CreateOptions) error {
	return r.withContainer(o, func(dir string) error {
		return r.runRunc(ctx, runcArgs("create", dir, o)...)
	})
}

// RunOptions are `run`'s.
type RunOptions struct {
	CreateOptions
	// Timeline receives a copy of the boot timeline; empty for none.
	Timeline string
}

// Run creates the container, starts it and, unless the options detach it,
// waits for its end and deletes it.
func (r *Runtime) Run(ctx context.Context, o RunOptions) error {
	return r.withContainer(o.CreateOptions, func(dir string) error {
		err := r.runRunc(ctx, runcArgs("run", dir, o.CreateOptions)...)
		if o.Timeline != "" {
			data, rerr := os.ReadFile(filepath.Join(dir, supervisor.TimelineFile))
			if rerr == nil {
				rerr = os.WriteFile(o.Timeline, data, 0o644)
			}
			err = errors.Join(err, rerr)
		}
		if !r.known(o.ID) {
			err = errors.Join(err, r.removeState(o.ID))
		}
		return err
	})
}

func runcArgs(verb, dir string, o CreateOptions) []string {
	args := append([]string{verb}, o.RuncArgs...)
	return append(args, "--bundle", dir, o.ID)
}

// withContainer makes the state folder of a new container and calls do with
// it. When that fails and runc knows no container, nothing is left behind.
func (r *Runtime) withContainer(o CreateOptions, do func(dir string) error) error {
	if err := checkID(o.ID); err != nil {
		return err
	}
	if r.known(o.ID) {
		return errExists(o.ID)
	}
	files, err := r.prepare(o.ID, o.Bundle)
	if err != nil {
		return err
	}
	release, err := r.claimState(o.ID)
	if err != nil {
		return err
	}
	defer release()
	dir := r.StateDir(o.ID)
	if err = writeState(dir, files); err == nil {
		err = do(dir)
	}
	if err != nil && !r.known(o.ID) {
		return errors.Join(err, r.removeState(o.ID))
	}
	return err
}

// prepare compiles the plan and returns the files of the state folder: the plan,
// our config.json and the path of the caller's bundle.
func (r *Runtime) prepare(id, bundle string) (map[string][]byte, error) {
	timeline, err := supervisor.BeginTimeline(time.Now())
	if err != nil {
		return nil, err
	}
	bundle, err = filepath.Abs(bundle)
	if err != nil {
		return nil, err
	}
	doc, err := readBundle(bundle)
	if err != nil {
		return nil, err
	}
	f, err := r.gather(id, bundle, &doc.Spec)
	if err != nil {
		return nil, err
	}
	p, err := r.compile(&doc.Spec, &f)
	if err != nil {
		return nil, err
	}
	if err := checkEntrypoint(bundle, &doc.Spec); err != nil {
		return nil, err
	}
	for _, w := range p.Warnings {
		r.Warn(w)
	}
	encoded, err := plan.Encode(p)
	if err != nil {
		return nil, err
	}
	if p.Rootfs.ReadOnly {
		if err := makeMountPoints(p); err != nil {
			return nil, err
		}
	}
	ocispec.Apply(doc, &p.OCI)
	config, err := doc.Marshal()
	if err != nil {
		return nil, err
	}
	inputs, err := r.inputs(&f)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		configFile: config, supervisor.PlanFile: encoded, bundleFile: []byte(bundle),
		inputsFile: inputs, supervisor.TimelineFile: timeline,
	}, nil
}

// makeMountPoints makes what is missing of the guest's mount points.
func makeMountPoints(p *plan.Plan) error {
	sources := map[string]string{} // on the host, by the volume's name
	for _, m := range p.OCI.Mounts {
		if filepath.Dir(m.Destination) == plan.VolumesMount {
			sources[filepath.Base(m.Destination)] = m.Source
		}
	}
	var points []storage.MountPoint
	for _, m := range p.Guest.Mounts {
		point := storage.MountPoint{Destination: m.Destination, Shared: m.Type == "tmpfs"}
		if m.Type == api.TypeVolume {
			info, err := os.Stat(sources[m.Source])
			if err != nil {
				return fmt.Errorf("look at what is mounted at %s: %w", m.Destination, err)
			}
			point.File = !info.IsDir()
		}
		points = append(points, point)
	}
	return storage.MakeMountPoints(p.Rootfs.HostPath, points)
}

// writeState writes files into the state folder.
func writeState(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write the container's state: %w", err)
		}
	}
	return nil
}
