package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
	RuncArgs []string // runc's options without --bundle and --preserve-fds
	// Descriptors is how many the caller wants to hand on (--preserve-fds), which
	// a VM cannot have.
	Descriptors int
}

// Create prepares the container's VM and creates the container.
func (r *Runtime) Create(ctx context.Context, o CreateOptions) error {
	return r.withContainer(ctx, o, func(dir string, files []*os.File) error {
		return r.runRuncWith(ctx, files, runcArgs("create", dir, o, files)...)
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
	return r.withContainer(ctx, o.CreateOptions, func(dir string, files []*os.File) error {
		ended := make(chan struct{})
		hooks := r.poststartBeside(ctx, o.ID, ended)
		err := r.runRuncWith(ctx, files, runcArgs("run", dir, o.CreateOptions, files)...)
		close(ended)
		if herr := <-hooks; herr != nil {
			err = herr // of which the entrypoint's end is a consequence
		}
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

// runcArgs are the arguments of a verb that makes the container, whose first
// process inherits files.
func runcArgs(verb, dir string, o CreateOptions, files []*os.File) []string {
	args := append([]string{verb}, o.RuncArgs...)
	if len(files) > 0 {
		args = append(args, "--preserve-fds", strconv.Itoa(len(files)))
	}
	return append(args, "--bundle", dir, o.ID)
}

// withContainer makes the state folder of a new container and calls do with
// it and the files that the supervisor inherits, which do closes. When that fails
// and runc knows no container, nothing is left behind.
func (r *Runtime) withContainer(ctx context.Context, o CreateOptions, do func(dir string, files []*os.File) error) (err error) {
	if err := checkID(o.ID); err != nil {
		return err
	}
	if r.known(o.ID) {
		return errExists(o.ID)
	}
	if o.Descriptors > 0 {
		r.Warn(plan.Warning{
			Summary: "Descriptors not handed on",
			Detail:  fmt.Sprintf("The %d further descriptors of --preserve-fds are those of this host's files and sockets, which a process in a VM cannot have.", o.Descriptors),
		})
	}
	prepared, err := r.prepare(o.ID, o.Bundle)
	if err != nil {
		return err
	}
	defer prepared.close()
	if d := prepared.plan.Debug; d != nil && d.Runtime {
		if err := r.beginLog(o.ID); err != nil {
			return err
		}
	}
	defer r.trace(o.ID)(&err)
	r.logPlan(o.Bundle, prepared.plan)
	letGo, err := r.holdKernel(ctx, prepared.plan)
	if err != nil {
		return err
	}
	defer letGo()
	release, err := r.claimState(o.ID)
	if err != nil {
		return err
	}
	defer release()
	dir := r.StateDir(o.ID)
	if err = writeState(dir, prepared.state); err == nil {
		err = do(dir, prepared.inherited)
	}
	if err != nil && !r.known(o.ID) {
		return errors.Join(err, r.removeState(o.ID))
	}
	return err
}

// prepared is what a container is made of.
type prepared struct {
	plan *plan.Plan
	// state are the files of the state folder: the plan, our config.json, the path
	// of the caller's bundle, the beginning of the timeline.
	state map[string][]byte
	// inherited are the supervisor's descriptors from 3 on.
	inherited []*os.File
}

func (p *prepared) close() {
	for _, f := range p.inherited {
		f.Close() // fails when runc has them already
	}
}

// prepare compiles the plan and takes what it needs of the host.
func (r *Runtime) prepare(id, bundle string) (_ *prepared, err error) {
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
	p, inherited, err := r.compileAndTake(id, &doc.Spec, &f)
	if err != nil {
		return nil, err
	}
	made := &prepared{plan: p, inherited: inherited}
	defer func() {
		if err != nil {
			made.close()
		}
	}()
	if err := api.CheckNames(doc.Spec.Process); err != nil {
		return nil, fmt.Errorf("%s: process: %w", filepath.Join(bundle, configFile), err)
	}
	if err := checkEntrypoint(bundle, &doc.Spec); err != nil {
		return nil, err
	}
	for _, w := range p.Warnings {
		r.Warn(w)
	}
	if p.Rootfs.ReadOnly {
		if err := makeMountPoints(p); err != nil {
			return nil, err
		}
	}
	if made.state, err = r.stateFiles(doc, p, &f); err != nil {
		return nil, err
	}
	made.state[bundleFile] = []byte(bundle)
	made.state[supervisor.TimelineFile] = timeline
	return made, nil
}

// stateFiles are the files of the state folder that follow from the plan. They
// make doc the container's.
func (r *Runtime) stateFiles(doc *ocispec.Document, p *plan.Plan, f *plan.Facts) (map[string][]byte, error) {
	encoded, err := plan.Encode(p)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ocispec.Apply(doc, &p.OCI)
	poststart := interposeHooks(doc.Spec.Hooks, program)
	config, err := doc.Marshal()
	if err != nil {
		return nil, err
	}
	inputs, err := r.inputs(f)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{configFile: config, supervisor.PlanFile: encoded, inputsFile: inputs}
	if len(poststart) > 0 {
		if files[poststartFile], err = json.Marshal(poststart); err != nil {
			return nil, err
		}
	}
	if vnc := p.Display.VNC; vnc != nil && vnc.PasswordFile != "" {
		if files[plan.VNCPassword], err = readPassword(vnc.PasswordFile); err != nil {
			return nil, err
		}
	}
	return files, nil
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
		point.File = m.Type == api.TypeProgram || m.Type == api.TypeSocket
		if m.Type == api.TypeVolume {
			info, err := os.Stat(sources[m.Source])
			if err != nil {
				return fmt.Errorf("look at what is mounted at %s: %w", m.Destination, err)
			}
			point.File = !info.IsDir()
		}
		points = append(points, point)
	}
	for _, d := range p.BlockDevices {
		points = append(points, storage.MountPoint{Destination: d.Node.Path, File: true})
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
