package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/kernels"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/runtime/facts"
	"github.com/runcvm/runcvm/runtime/image"
	"github.com/runcvm/runcvm/runtime/install"
	vmnet "github.com/runcvm/runcvm/runtime/net"
	"github.com/runcvm/runcvm/runtime/vsock"
)

// readBundle reads the config.json of a bundle, whose path is absolute.
func readBundle(bundle string) (*ocispec.Document, error) {
	path := filepath.Join(bundle, configFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	return parseConfig(data, path, bundle)
}

// parseConfig reads a configuration of the bundle's, which path names in
// messages.
func parseConfig(data []byte, path, bundle string) (*ocispec.Document, error) {
	doc, err := ocispec.Parse(data, path)
	if err != nil {
		return nil, err
	}
	if doc.Spec.Root == nil || doc.Spec.Root.Path == "" {
		return nil, fmt.Errorf("%s: root.path is missing: it must name the folder of the container's root file system", path)
	}
	if doc.Spec.Process == nil || len(doc.Spec.Process.Args) == 0 {
		return nil, fmt.Errorf("%s: process.args is missing: a container needs a program to run", path)
	}
	makeSourcesAbsolute(doc.Spec.Mounts, bundle)
	return doc, nil
}

// makeSourcesAbsolute resolves relative sources of bind mounts as runc does,
// against the bundle: runc is given another folder as that.
func makeSourcesAbsolute(mounts []specs.Mount, bundle string) {
	for i := range mounts {
		m := &mounts[i]
		bind := m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
		if bind && m.Source != "" && !filepath.IsAbs(m.Source) {
			m.Source = filepath.Join(bundle, m.Source)
		}
	}
}

// gather looks at the host and at the bundle.
func (r *Runtime) gather(id, bundle string, spec *specs.Spec) (plan.Facts, error) {
	tools, err := install.ReadTools(filepath.Join(r.Prefix, install.ToolRoot))
	if err != nil {
		return plan.Facts{}, err
	}
	installed, err := kernels.List(r.Prefix)
	if err != nil {
		return plan.Facts{}, err
	}
	metadata, err := image.Metadata(spec, id)
	if err != nil {
		return plan.Facts{}, err
	}
	metadata.Labels = profiles.WithAnnotations(metadata.Labels, spec.Annotations)
	root := spec.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(bundle, root)
	}
	if err := r.describeImage(bundle, root, spec, &metadata); err != nil {
		return plan.Facts{}, err
	}
	found, folders := findSockets(spec)
	return facts.Gather(facts.Options{
		CacheDir: r.RunDir,
		Tools:    tools,
		Kernels:  installed,

		ProbeNetwork: vmnet.Probe,

		KernelsDir: filepath.Join(r.Prefix, kernels.Dir),
		Image:      metadata,
		Bundle: plan.Bundle{
			RootPath: root, UpperDir: facts.UpperDir(root), StateDir: r.StateDir(id), HostNetwork: joinsHostNetwork(spec),
			Sockets: found, SocketFolders: folders,
		},
	})
}

// compile chooses the profiles and compiles the plan.
func (r *Runtime) compile(spec *specs.Spec, f *plan.Facts) (*plan.Plan, error) {
	return r.compileWith(spec, f, profiles.NewRequest(spec.Process, f.Image))
}

// compileWith is compile with another request than the container's own.
func (r *Runtime) compileWith(spec *specs.Spec, f *plan.Facts, request profiles.Request) (*plan.Plan, error) {
	set, diags := profiles.LoadHost(r.ProfilesDir, r.PatchesDir)
	// Also after a mistake: some show only when values are computed, and all are
	// to be told at once.
	profile, more := profiles.Resolve(set, request, engine.Variables(spec, f))
	if diags = append(diags, more...); diags.HasErrors() {
		diags.Sort()
		return nil, diags
	}
	r.addKernelFiles(profile, f)
	p, diags := engine.Compile(profile, spec, f)
	return p, diags.Err()
}

// compileAndTake compiles the plan and takes the address of the agent's stream
// that it wants, in a file that the supervisor inherits. An address that
// cannot be had is a fact, with which the plan is made anew: either it does
// without, or that is the error.
func (r *Runtime) compileAndTake(id string, spec *specs.Spec, f *plan.Facts) (*plan.Plan, []*os.File, error) {
	p, err := r.compile(spec, f)
	if err != nil || p.Agent.Transport != plan.TransportVsock {
		return p, nil, err
	}
	address, err := vsock.Take(id)
	if err != nil {
		f.Vsock = plan.Vsock{Reason: err.Error()}
		p, err = r.compile(spec, f)
		return p, nil, err
	}
	file, err := address.HandOver()
	if err != nil {
		return nil, nil, err
	}
	return p, []*os.File{file}, nil
}

// checkEntrypoint finds out before anything starts that the program is not
// there or may not be executed: the engine turns the words into its exit code.
func checkEntrypoint(bundle string, spec *specs.Spec) error {
	view, err := image.NewView(bundle, spec)
	if err != nil {
		return err
	}
	err = image.LookPath(view, spec.Process)
	var exec *image.ExecError
	if errors.As(err, &exec) {
		return fmt.Errorf("runcvm create failed: unable to start container process: %w", err)
	}
	return err
}
