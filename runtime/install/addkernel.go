package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/treeswap"
	"github.com/runcvm/runcvm/kernels"
)

// AddKernelOptions say which kernel is added to an installation. Empty fields
// stand for the defaults.
type AddKernelOptions struct {
	Prefix       string
	Cache        string // where depmod is, when the host has none
	Distribution string
	Source       string // a folder with a kernel and its modules, or a Debian package
	KeepLatest   bool   // leaves the distribution's default kernel as it is
}

// AddKernel installs a kernel beside those that are there.
func AddKernel(ctx context.Context, o AddKernelOptions, progress io.Writer) (kernels.Imported, error) {
	setDefault(&o.Prefix, DefaultPrefix)
	setDefault(&o.Cache, DefaultCache)
	unlock, err := lockInstallation(ctx, o.Prefix, progress)
	if err != nil {
		return kernels.Imported{}, err
	}
	defer unlock()
	top := filepath.Join(o.Prefix, kernels.Dir)
	if err := treeswap.Sweep(top); err != nil {
		return kernels.Imported{}, err
	}
	tree, name, done, err := o.open(ctx, top)
	if err != nil {
		return kernels.Imported{}, err
	}
	defer done()
	depmod, err := findDepmod(o.Cache)
	if err != nil {
		return kernels.Imported{}, err
	}
	return kernels.Import(ctx, kernels.ImportOptions{
		Prefix: o.Prefix, Distribution: o.Distribution, Tree: tree, Package: name,
		Guest: filepath.Join(o.Prefix, GuestPath), Depmod: depmod, Added: true, KeepLatest: o.KeepLatest,
	})
}

// RemoveKernel removes the installed kernel DISTRIBUTION/VERSION, which no
// machine may use, and returns what it was.
func RemoveKernel(ctx context.Context, prefix, name string, progress io.Writer) (plan.InstalledKernel, error) {
	unlock, err := lockInstallation(ctx, prefix, progress)
	if err != nil {
		return plan.InstalledKernel{}, err
	}
	defer unlock()
	k, err := kernels.LookupName(prefix, name)
	if err != nil {
		return k, err
	}
	return k, kernels.Remove(prefix, k)
}

// lockInstallation keeps other installers out of an installation.
func lockInstallation(ctx context.Context, prefix string, progress io.Writer) (unlock func(), err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("changing the kernels in %s needs root", prefix)
	}
	if _, err := readRecord(prefix); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("nothing is installed in %s: run \"runcvm install\" first", prefix)
	} else if err != nil {
		return nil, err
	}
	return lock(ctx, &printer{w: progress}, prefix)
}

// open returns the source as a tree, with what it was made from. A package is
// unpacked below top.
func (o *AddKernelOptions) open(ctx context.Context, top string) (tree, name string, done func(), err error) {
	source, err := filepath.Abs(o.Source)
	if err != nil {
		return "", "", nil, err
	}
	info, err := os.Stat(source)
	if err != nil {
		return "", "", nil, err
	}
	if info.IsDir() {
		return source, source, func() {}, nil
	}
	if name, err = packageOf(ctx, source); err != nil {
		return "", "", nil, err
	}
	dir, err := treeswap.New(filepath.Join(top, "package"))
	if err != nil {
		return "", "", nil, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	u, err := newUnpacker(dir)
	if err == nil {
		err = errors.Join(u.deb(ctx, source), u.Close())
	}
	if err != nil {
		done()
		return "", "", nil, err
	}
	return dir, name, done, nil
}

// archiveMagic begins a Debian package, which is an ar(5) archive.
const archiveMagic = "!<arch>\n"

// packageOf returns the name and the version of a Debian package.
func packageOf(ctx context.Context, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, len(archiveMagic))
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, []byte(archiveMagic)) {
		return "", fmt.Errorf("%s is neither a folder nor a Debian package", file)
	}
	out, err := run(ctx, exec.CommandContext(ctx, "dpkg-deb", "--show", "--showformat", "${Package} ${Version}", file))
	if err != nil {
		return "", fmt.Errorf("read the package %s: %w", file, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// findDepmod returns the command that runs depmod: the host's, or that of
// packages in the cache.
func findDepmod(cache string) ([]string, error) {
	if path, err := exec.LookPath("depmod"); err == nil {
		return []string{path}, nil
	}
	for _, s := range suites {
		if command, err := depmodOf(filepath.Join(cache, s.name, cacheTree)); err == nil {
			return command, nil
		}
	}
	return nil, fmt.Errorf("no depmod is on this host, in $PATH or among the packages in %s: install the package kmod", cache)
}
