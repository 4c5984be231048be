package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/kernels"
	"github.com/runcvm/runcvm/kernels/catalogue"
	"github.com/runcvm/runcvm/runtime/image"
	"github.com/runcvm/runcvm/runtime/install"
	"github.com/runcvm/runcvm/schema"
)

func (r *Runtime) guestProgram() string { return filepath.Join(r.Prefix, install.GuestPath) }

// describeImage looks into the image below root: what it says that it is, its
// kernel, and the entrypoint's program, whose absence is no error yet (see
// checkEntrypoint). For an image without a kernel this takes well below a
// millisecond. A root that is not there yet, such as that of a container which
// is only planned, tells nothing.
func (r *Runtime) describeImage(bundle, root string, spec *specs.Spec, i *plan.Image) error {
	err := image.Describe(root, i)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var release plan.OSRelease
	if i.OSRelease != nil {
		release = *i.OSRelease
	}
	if i.Kernel, i.UnusableKernels, err = kernels.OfImage(root, catalogue.Places(release.ID, release.IDLike), r.guestProgram()); err != nil {
		return err
	}
	view, err := image.NewView(bundle, spec)
	if err != nil {
		return err
	}
	i.Program, err = image.Program(view, spec.Process)
	i.ExitHabits = image.ExitHabits(root, i.Program)
	return err
}

// addKernelFiles gathers the facts of the host's files that the profile boots,
// unless the facts have them.
func (r *Runtime) addKernelFiles(profile *schema.Profile, f *plan.Facts) {
	asked := engine.KernelFiles(profile)
	if asked == nil || asked.Image == "" {
		return
	}
	if have := f.KernelFiles; have != nil && have.Image == asked.Image && have.Initramfs == asked.Initramfs && have.Modules == asked.Modules {
		return
	}
	files := kernels.OfHost(*asked, r.guestProgram())
	f.KernelFiles = &files
}

// holdKernel makes sure that the plan's kernel is there, and that it stays
// until release is called: by then the container has it mounted.
func (r *Runtime) holdKernel(ctx context.Context, p *plan.Plan) (release func(), err error) {
	if p.Kernel.Build == nil {
		release, err = kernels.Hold(p.Kernel.HostDir)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("the kernel %s %s has just been removed", p.Kernel.Distribution, p.Kernel.Version)
		}
		return release, err
	}
	return kernels.Ensure(ctx, &p.Kernel, r.guestProgram())
}
