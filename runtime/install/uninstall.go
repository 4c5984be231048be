package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/runcvm/runcvm/internal/treeswap"
	"github.com/runcvm/runcvm/kernels"
	"github.com/runcvm/runcvm/runtime/facts"
)

// UninstallOptions say what is removed. Empty fields stand for the defaults.
type UninstallOptions struct {
	Prefix string
	Cache  string
	// KeepCache leaves the fetched packages for the next installation. Those that
	// another installation uses stay anyway.
	KeepCache bool
	// RunDir has the containers' state and the KVM probe's verdict. What is of no
	// container is removed; empty leaves it alone.
	RunDir string
	// Force removes the files of VMs that are running, which ends them.
	Force  bool
	Docker Docker
}

// InUseError says that VMs run from the installation.
type InUseError struct {
	Prefix    string
	Processes []int
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use: the processes %v belong to VMs that run from it; stop their containers first", e.Prefix, e.Processes)
}

// Uninstall takes back what Install did, and nothing else: files that others
// put below the prefix stay. Where nothing is installed, it succeeds.
func Uninstall(ctx context.Context, o UninstallOptions, progress io.Writer) error {
	p := &printer{w: progress}
	setDefault(&o.Prefix, DefaultPrefix)
	setDefault(&o.Cache, DefaultCache)
	setDefault(&o.Docker.PIDFile, DefaultDockerPID)
	if os.Geteuid() != 0 {
		return errors.New("runcvm uninstall needs root")
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return err
	}
	r, err := readRecord(o.Prefix)
	installed := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if installed {
		unlock, err := lock(ctx, p, o.Prefix)
		if err != nil {
			return err
		}
		defer unlock()
		if err := o.checkUnused(); err != nil {
			return err
		}
	}
	if err := o.unregister(p, r.Docker); err != nil {
		return err
	}
	if installed {
		if err := removeInstallation(p, o.Prefix); err != nil {
			return err
		}
	} else {
		p.printf("Nothing is installed in %s", o.Prefix)
	}
	if err := clearRunDir(o.RunDir); err != nil {
		return err
	}
	return leaveCache(ctx, p, o.Cache, o.Prefix, o.KeepCache)
}

// clearRunDir removes the probe's verdict, which the next container would
// measure again, and the folders when no container's state is in them.
func clearRunDir(dir string) error {
	if dir == "" {
		return nil
	}
	if err := facts.RemoveCache(dir); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(dir, "state")) // these fail while others use them
	_ = os.Remove(dir)
	return nil
}

func (o *UninstallOptions) checkUnused() error {
	if o.Force {
		return nil
	}
	dirs, err := setAside(o.Prefix)
	if err != nil {
		return err
	}
	var users []int
	for _, dir := range append(dirs, filepath.Join(o.Prefix, ToolRoot), filepath.Join(o.Prefix, kernels.Dir)) {
		more, err := treeswap.Users(dir)
		if err != nil {
			return err
		}
		users = append(users, more...)
	}
	if len(users) > 0 {
		slices.Sort(users)
		return &InUseError{Prefix: o.Prefix, Processes: slices.Compact(users)}
	}
	return nil
}

// unregister looks where the installation registered the runtime and where the
// options say.
func (o *UninstallOptions) unregister(p *printer, known []dockerRecord) error {
	if o.Docker.Skip {
		return nil
	}
	path, present, err := o.Docker.config()
	if err != nil {
		return err
	}
	if present {
		known = append(known, dockerRecord{Config: path})
	}
	for _, d := range known {
		if err := unregister(p, d, o.Prefix, o.Docker.PIDFile); err != nil {
			return err
		}
	}
	return nil
}

// setAside returns the tool roots that were replaced while VMs used them, and
// those that were never finished.
func setAside(prefix string) ([]string, error) {
	return filepath.Glob(filepath.Join(prefix, treeswap.Pattern))
}

// removeInstallation removes what Install makes, the record last.
func removeInstallation(p *printer, prefix string) error {
	remove, err := setAside(prefix)
	if err != nil {
		return err
	}
	for _, name := range []string{ProgramPath, GuestPath, LibraryPath, ToolRoot, kernels.Dir} {
		remove = append(remove, filepath.Join(prefix, name))
	}
	for _, name := range remove {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	_ = os.Remove(filepath.Join(prefix, filepath.Dir(ProgramPath))) // stays when others have files in it
	entries, err := os.ReadDir(prefix)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == recordName })
	if err := os.Remove(filepath.Join(prefix, recordName)); err != nil {
		return err
	}
	if len(others) > 0 {
		p.printf("Removed the installation; %s stays, since it holds %d other files or folders", prefix, len(others))
		return nil
	}
	p.printf("Removed %s", prefix)
	return os.Remove(prefix)
}
