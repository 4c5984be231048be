// Package install puts RunCVM on a host and takes it off again: the programs,
// the tool root (a root file system of its own with QEMU, virtiofsd and what
// they need, out of Debian packages), the kernel, and the entry in Docker's
// configuration. Everything is built beside what is there and swapped in, and
// what is right already is not touched.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/kernels"
	"github.com/runcvm/runcvm/runtime/install/elfdeps"
)

// Defaults of Options.
const (
	DefaultPrefix       = "/opt/runcvm"
	DefaultCache        = "/var/cache/runcvm"
	DefaultDockerConfig = "/etc/docker/daemon.json"
	DefaultDockerPID    = "/run/docker.pid"
)

// Names below the prefix.
const (
	ProgramPath = "bin/runcvm"
	GuestPath   = "bin/runcvm-guest"
	LibraryPath = "bin/hardlinks.so"
	ToolRoot    = "root"
)

// distribution is that of the packaged kernel.
const distribution = "debian"

// Options say what is installed, from where, and to where. Empty fields stand
// for the defaults.
type Options struct {
	Prefix string
	Cache  string // of packages, a folder for each suite
	Suite  string // one of Suites; DefaultSuite when empty
	// Refresh looks for newer packages. Without it, packages in the cache are
	// used as they are, without the network.
	Refresh bool
	Program string // the runcvm program; this one when empty
	Guest   string // the runcvm-guest program; the one beside Program when empty
	Library string // hardlinks.so, which virtiofsd loads; the one beside Program when empty
	Docker  Docker
}

// Docker says how the runtime is registered.
type Docker struct {
	Skip bool
	// Config is daemon.json. When empty, it is the default one, and only a host
	// that has Docker gets it.
	Config  string
	PIDFile string // of the dockerd that is told to read it
}

func (o *Options) setDefaults() error {
	setDefault(&o.Prefix, DefaultPrefix)
	setDefault(&o.Cache, DefaultCache)
	setDefault(&o.Suite, DefaultSuite())
	setDefault(&o.Docker.PIDFile, DefaultDockerPID)
	if o.Program == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.Program = self
	}
	setDefault(&o.Guest, filepath.Join(filepath.Dir(o.Program), "runcvm-guest"))
	setDefault(&o.Library, filepath.Join(filepath.Dir(o.Program), "hardlinks.so"))
	return nil
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// Install installs RunCVM, or brings an installation up to date, and writes a
// line for each step to progress. It needs root. With the same options and
// packages, a second call changes nothing. VMs that run keep what they have
// mounted.
func Install(ctx context.Context, o Options, progress io.Writer) error {
	start := time.Now()
	p := &printer{w: progress}
	s, err := o.check()
	if err != nil {
		return err
	}
	defer unix.Umask(unix.Umask(0o022))
	if err := preparePrefix(o.Prefix); err != nil {
		return err
	}
	suiteCache := filepath.Join(o.Cache, s.name)
	if err := os.MkdirAll(suiteCache, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, p, o.Prefix, suiteCache)
	if err != nil {
		return err
	}
	defer unlock()

	if err := joinCache(suiteCache, o.Prefix); err != nil {
		return err
	}
	f := &fetcher{dir: suiteCache, suite: s, progress: p}
	set, err := f.fetch(ctx, o.Refresh)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return o.installPrograms(p) },
		func() error { return o.installTools(ctx, p, s, suiteCache, set) },
		func() error { return o.installKernel(ctx, p, suiteCache, set) },
		func() error { return o.register(p) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	p.printf("Installed to %s in %s", o.Prefix, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// check finds what is wrong with the options and the host before anything is
// changed.
func (o *Options) check() (suite, error) {
	if err := o.setDefaults(); err != nil {
		return suite{}, err
	}
	s, err := findSuite(o.Suite)
	if err != nil {
		return suite{}, err
	}
	if runtime.GOARCH != "amd64" {
		return suite{}, fmt.Errorf("unsupported architecture: runcvm installs on amd64 only, this host is %s", runtime.GOARCH)
	}
	if os.Geteuid() != 0 {
		return suite{}, errors.New("runcvm install needs root: it writes below the prefix and runs the installed programs in a chroot")
	}
	for _, program := range []string{o.Program, o.Guest} {
		static, err := elfdeps.Static(program)
		if err != nil {
			return suite{}, fmt.Errorf("program to be installed: %w", err)
		}
		if !static {
			return suite{}, fmt.Errorf("%s is linked with shared libraries, which neither the tool root nor the initramfs has: build it with CGO_ENABLED=0", program)
		}
	}
	if _, err := os.Stat(o.Library); err != nil {
		return suite{}, fmt.Errorf("library to be installed: %w; \"make build\" puts it beside runcvm", err)
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return suite{}, err
	}
	return s, o.Docker.check()
}

func (o *Options) installPrograms(p *printer) error {
	for _, f := range []struct{ src, name string }{{o.Program, ProgramPath}, {o.Guest, GuestPath}, {o.Library, LibraryPath}} {
		dst := filepath.Join(o.Prefix, f.name)
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		changed, err := installProgram(f.src, dst)
		if err != nil {
			return err
		}
		if changed {
			p.printf("Installed %s", dst)
		}
	}
	return nil
}

// installProgram replaces dst, which may be running, unless it is the same.
func installProgram(src, dst string) (changed bool, err error) {
	want, err := kernels.FileDigest(src)
	if err != nil {
		return false, err
	}
	if got, err := kernels.FileDigest(dst); err == nil && got == want {
		return false, nil
	}
	in, err := os.Open(src)
	if err != nil {
		return false, err
	}
	defer in.Close()
	out, err := renameio.NewPendingFile(dst, renameio.WithStaticPermissions(0o755))
	if err != nil {
		return false, err
	}
	defer func() { _ = out.Cleanup() }() // nothing, once it has been put in place
	if _, err := io.Copy(out, in); err != nil {
		return false, err
	}
	return true, out.CloseAtomicallyReplace()
}

func (o *Options) installTools(ctx context.Context, p *printer, s suite, cache string, set packageSet) error {
	target := filepath.Join(o.Prefix, ToolRoot)
	b := &toolRoot{tree: filepath.Join(cache, cacheTree), suite: s, set: set, runcvm: o.Program, library: o.Library}
	m, changed, err := b.install(ctx, target)
	if err != nil {
		return err
	}
	state := "is up to date"
	if changed {
		state = "is built and tried"
	}
	p.printf("The tool root %s: QEMU %s, virtiofsd (%s) of %s", state, m.QEMUVersion, m.VirtiofsdKind, m.Suite)
	return nil
}

func (o *Options) installKernel(ctx context.Context, p *printer, cache string, set packageSet) error {
	depmod, err := depmodOf(filepath.Join(cache, cacheTree))
	if err != nil {
		return err
	}
	k, err := kernels.Import(ctx, kernels.ImportOptions{
		Prefix:       o.Prefix,
		Distribution: distribution,
		Tree:         filepath.Join(cache, cacheKernel),
		Package:      set.Kernel.Name + " " + set.Kernel.Version,
		Guest:        o.Guest,
		Depmod:       depmod,
	})
	if err != nil {
		return err
	}
	state := "is up to date"
	if k.Changed {
		state = "is installed, with " + strings.Join(k.Modules, " ") + " in its initramfs"
	}
	p.printf("The kernel %s %s", k.Kernel.Version, state)
	// The others talk to the supervisor that has just been installed, too.
	others, err := kernels.Refresh(ctx, o.Prefix, o.Guest)
	for _, k := range others {
		p.printf("The kernel %s %s has the new guest program", k.Distribution, k.Version)
	}
	return err
}

// depmodOf is the command that runs the depmod of unpacked packages, with their
// own libc: the host need have neither.
func depmodOf(tree string) ([]string, error) {
	t, err := elfdeps.Open(tree)
	if err != nil {
		return nil, err
	}
	path := func(name string) (string, error) {
		_, real, err := t.Resolve(name)
		return filepath.Join(tree, real), err
	}
	start, err := path(loader)
	if err != nil {
		return nil, err
	}
	kmod, err := path("/bin/kmod")
	if err != nil {
		return nil, err
	}
	libraries := filepath.Join(tree, "usr/lib/x86_64-linux-gnu")
	return []string{start, "--argv0", "depmod", "--library-path", libraries, kmod}, nil
}

// lock keeps other installers out of the folders until the returned function is
// called.
func lock(ctx context.Context, p *printer, dirs ...string) (unlock func(), err error) {
	var held []*os.File
	unlock = func() {
		for _, f := range held {
			f.Close()
		}
	}
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, f)
		if err := lockFile(ctx, p, f); err != nil {
			unlock()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
	}
	return unlock, nil
}

func lockFile(ctx context.Context, p *printer, f *os.File) error {
	for said := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if !said {
			p.printf("Waiting for another installation that uses %s", f.Name())
			said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
