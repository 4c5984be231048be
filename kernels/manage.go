package kernels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/treeswap"
)

// NotInstalledError says that a kernel is not there.
type NotInstalledError struct {
	Distribution, Version string
	Installed             []string // "debian/6.1.0-56-cloud-amd64"
}

func (e *NotInstalledError) Error() string {
	asked := e.Distribution + "/" + e.Version
	have := "None is installed."
	if len(e.Installed) > 0 {
		have = "Installed are " + diag.List(e.Installed) + "."
	}
	return fmt.Sprintf("the kernel %q is not installed.%s %s", asked, diag.DidYouMean(asked, e.Installed), have)
}

// Lookup finds an installed kernel. The version "latest" is the distribution's
// default one.
func Lookup(prefix, distribution, version string) (plan.InstalledKernel, error) {
	list, err := List(prefix)
	if err != nil {
		return plan.InstalledKernel{}, err
	}
	missing := &NotInstalledError{Distribution: distribution, Version: version}
	for _, k := range list {
		if k.Distribution == distribution && (k.Version == version || version == latest && k.Default) {
			return k, nil
		}
		missing.Installed = append(missing.Installed, k.Distribution+"/"+k.Version)
	}
	return plan.InstalledKernel{}, missing
}

// Remove removes an installed kernel that no machine uses: otherwise it fails
// with an InUseError. When it was the default of its distribution, the newest
// of the others becomes it.
func Remove(prefix string, k plan.InstalledKernel) error {
	if err := removeFolder(k.HostDir); err != nil {
		return err
	}
	parent := filepath.Dir(k.HostDir)
	if err := treeswap.Sweep(parent); err != nil {
		return err
	}
	list, err := List(prefix)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(other plan.InstalledKernel) bool { return other.Distribution != k.Distribution })
	link := filepath.Join(parent, latest)
	if len(list) == 0 {
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(parent) // stays while a machine uses what was replaced in it
		return nil
	}
	if !k.Default {
		return nil
	}
	newest := slices.MaxFunc(list, func(a, b plan.InstalledKernel) int { return CompareVersions(a.Version, b.Version) })
	return renameio.Symlink(newest.Version, link)
}

// Refresh gives each installed kernel the program runcvm-guest, where it has
// another one in its initramfs. It returns those that it changed.
func Refresh(ctx context.Context, prefix, guest string) ([]plan.InstalledKernel, error) {
	list, err := List(prefix)
	if err != nil {
		return nil, err
	}
	want, err := FileDigest(guest)
	if err != nil {
		return nil, err
	}
	var changed []plan.InstalledKernel
	for _, k := range list {
		m, err := ReadManifest(k.HostDir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && m.Guest == want {
			continue // one that was put there by hand, or up to date
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = refresh(k, m, guest, want)
		}
		if err != nil {
			return changed, fmt.Errorf("kernel %s %s: %w", k.Distribution, k.Version, err)
		}
		changed = append(changed, k)
	}
	return changed, nil
}

// refresh replaces the initramfs and what stands beside it, then the manifest.
// Who is stopped in between leaves a manifest that asks for it once more.
func refresh(k plan.InstalledKernel, m plan.Manifest, guest, digest string) error {
	const suffix = ".new"
	names := []string{plan.KernelInitrd, plan.KernelDrives}
	clean := func() error {
		var errs []error
		for _, name := range names {
			errs = append(errs, os.RemoveAll(filepath.Join(k.HostDir, name+suffix)))
		}
		return errors.Join(errs...)
	}
	if err := clean(); err != nil {
		return err
	}
	defer clean() //nolint:errcheck // nothing is there once it has its name
	var err error
	if m.Modules, err = initramfsOf(k.HostDir, k.Version, guest, suffix); err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(k.HostDir, name)
		if m.Files[name], err = FileDigest(path + suffix); err != nil {
			return err
		}
		if err := os.Rename(path+suffix, path); err != nil {
			return err
		}
	}
	m.Guest = digest
	data, err := encodeManifest(m)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(k.HostDir, plan.KernelManifest), data, 0o644, renameio.WithStaticPermissions(0o644))
}

// Built lists the folders that were built for containers, sorted by name.
func Built(prefix string) ([]string, error) {
	entries, err := readDir(filepath.Join(prefix, Dir, plan.KernelBuiltDir))
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && !hidden(e.Name()) {
			dirs = append(dirs, filepath.Join(prefix, Dir, plan.KernelBuiltDir, e.Name()))
		}
	}
	return dirs, err
}

func writeManifest(dir string, m plan.Manifest) error {
	data, err := encodeManifest(m)
	if err != nil {
		return err
	}
	return create(filepath.Join(dir, plan.KernelManifest), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
