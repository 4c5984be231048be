package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
	"github.com/runcvm/runcvm/internal/treeswap"
)

// importFormat changes when Import makes something else of the same inputs.
const importFormat = "2"

// ImportOptions are the inputs of Import.
type ImportOptions struct {
	Prefix       string // of the installation
	Distribution string // "debian"
	Tree         string // an unpacked kernel package, or a folder of its form
	Package      string // what it was made from, for the manifest
	Guest        string // the runcvm-guest program
	// Depmod is the command that runs depmod(8), "depmod" when empty. It runs
	// when the package has no modules.dep, as Debian's have not.
	Depmod []string
	// Added says that people add it. What they made the default stays it at an
	// installation.
	Added bool
	// KeepLatest leaves the link "latest" as it is, unless there is none.
	KeepLatest bool
}

// packagePlaces is where packages have their kernel, and folders that people
// make.
var packagePlaces = plan.KernelPlaces{
	Images:  []string{"/boot/vmlinuz-*", "/boot/vmlinuz", "/vmlinuz", "/vmlinuz-*", "/lib/modules/*/vmlinuz"},
	Modules: []string{"/lib/modules", "/usr/lib/modules", "/modules"},
}

// Imported is what Import has installed.
type Imported struct {
	Kernel  plan.InstalledKernel `json:"kernel"`
	Modules []string             `json:"modules"` // in the initramfs, in load order
	Changed bool                 `json:"changed"` // false when everything was there already
}

// Import installs the kernel of an unpacked package below the prefix and makes
// "latest" point at it. The folder appears, or changes, in one step. When the
// inputs are those of the last time and the folder is intact, nothing changes.
func Import(ctx context.Context, o ImportOptions) (Imported, error) {
	if !ValidDistribution(o.Distribution) {
		return Imported{}, fmt.Errorf("%q is no name for a distribution: it has lower-case letters, digits and dashes", o.Distribution)
	}
	src, err := findKernel(o.Tree)
	if err != nil {
		return Imported{}, err
	}
	builder, err := o.digest(src)
	if err != nil {
		return Imported{}, err
	}
	parent := filepath.Join(o.Prefix, Dir, o.Distribution)
	dst := filepath.Join(parent, src.version)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Imported{}, err
	}
	defer os.Remove(parent) // fails unless the import has failed and it is empty
	if err := treeswap.Sweep(parent); err != nil {
		return Imported{}, err
	}
	var imported Imported
	m, err := ReadManifest(dst)
	if err != nil || m.Builder != builder || Verify(dst) != nil {
		if m, err = o.build(ctx, src, dst, builder); err != nil {
			return Imported{}, fmt.Errorf("kernel %s: %w", src.version, err)
		}
		imported.Changed = true
	}
	imported.Modules = m.Modules
	can, err := abilitiesOf(dst)
	if err != nil {
		return Imported{}, err
	}
	link := filepath.Join(parent, latest)
	now, err := os.Readlink(link)
	if err != nil || now != src.version && !o.keepsLatest(filepath.Join(parent, now)) {
		if err := renameio.Symlink(src.version, link); err != nil {
			return Imported{}, err
		}
		now, imported.Changed = src.version, true
	}
	imported.Kernel = plan.InstalledKernel{
		Distribution: o.Distribution, Version: src.version, HostDir: dst,
		HasVmlinux: m.Files[plan.KernelVmlinux] != "", Default: now == src.version,
		KernelAbilities: can,
	}
	return imported, nil
}

// keepsLatest says whether the default kernel, in the folder now, stays it.
func (o ImportOptions) keepsLatest(now string) bool {
	m, err := ReadManifest(now)
	return err == nil && (o.KeepLatest || m.Added && !o.Added)
}

// source is a kernel in an unpacked package.
type source struct {
	version string
	image   string
	modules string // the folder lib/modules/<version>
}

func findKernel(dir string) (source, error) {
	tree, err := imagefs.Open(dir)
	if err != nil {
		return source{}, err
	}
	defer tree.Close()
	found, unusable := Find(tree, []plan.KernelPlaces{packagePlaces})
	if found == nil {
		reasons := make([]error, len(unusable))
		for i, u := range unusable {
			reasons[i] = fmt.Errorf("%s: %s", u.Path, u.Reason)
		}
		if len(reasons) == 0 {
			reasons = append(reasons, fmt.Errorf("no file is %s", strings.Join(packagePlaces.Images, " or ")))
		}
		return source{}, fmt.Errorf("%s has no kernel that could boot: %w", dir, errors.Join(reasons...))
	}
	image, err := tree.Resolve(found.Image)
	if err != nil {
		return source{}, err
	}
	modules, err := tree.Resolve(found.Modules)
	return source{found.Version, filepath.Join(dir, image), filepath.Join(dir, modules)}, err
}

// digest identifies the inputs: the package, the guest and the builder. Of the
// modules, which the package's version identifies, it takes names and sizes.
func (o ImportOptions) digest(s source) (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, file := range []string{s.image, o.Guest} {
		sum, err := FileDigest(file)
		if err != nil {
			return "", err
		}
		_ = enc.Encode(sum)
	}
	_ = enc.Encode([]any{importFormat, initramfsFormat, o.Distribution, o.Package, s.version, Lists})
	err := walkFiles(s.modules, func(name string, d fs.DirEntry) error {
		info, err := d.Info()
		if err != nil {
			return err
		}
		return enc.Encode([]any{name, info.Size()})
	})
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), err
}

// walkFiles calls f for each regular file, in order. The links "build" and
// "source" to kernel headers, which packages have, lead nowhere here.
func walkFiles(dir string, f func(name string, d fs.DirEntry) error) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return f(name, d)
	})
}

// build makes the kernel's folder beside dst and puts it there.
func (o ImportOptions) build(ctx context.Context, s source, dst, builder string) (plan.Manifest, error) {
	m := plan.Manifest{Distribution: o.Distribution, Version: s.version, Package: o.Package, Builder: builder, Added: o.Added}
	var err error
	if m.Guest, err = FileDigest(o.Guest); err != nil {
		return m, err
	}
	dir, err := treeswap.New(dst)
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir) // nothing is there once it has been swapped in
	modules := filepath.Join(dir, "lib", "modules", s.version)
	steps := []func() error{
		func() error { return copyFile(s.image, filepath.Join(dir, plan.KernelImage)) },
		func() error { return extractDirect(s.image, filepath.Join(dir, plan.KernelVmlinux)) },
		func() error { return copyModules(s.modules, modules) },
		func() error { return o.depmod(ctx, dir, s.version) },
		func() (err error) {
			m.Modules, err = initramfsOf(dir, s.version, o.Guest, "")
			return err
		},
		func() (err error) {
			m.Files, err = digests(dir)
			return err
		},
		func() error { return writeManifest(dir, m) },
		func() error { return treeswap.Replace(dir, dst) },
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if err := step(); err != nil {
			return m, err
		}
	}
	return m, nil
}

func extractTo(image, dst string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return create(dst, func(w io.Writer) error {
		if err := ExtractVmlinux(w, f, st.Size()); err != nil {
			return fmt.Errorf("extract the ELF image: %w", err)
		}
		return nil
	})
}

// extractDirect extracts the ELF image, and keeps it only where it can be entered
// directly.
func extractDirect(image, dst string) error {
	if err := extractTo(image, dst); err != nil {
		return err
	}
	ok, err := isPVH(dst)
	if err == nil && !ok {
		err = os.Remove(dst)
	}
	return err
}

func copyModules(src, dst string) error {
	return walkFiles(src, func(name string, d fs.DirEntry) error {
		info, err := d.Info()
		if err == nil && info.Size() > maxModule {
			err = fmt.Errorf("%s has more than %d bytes", name, maxModule)
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dst, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return copyFile(filepath.Join(src, name), to)
	})
}

// depmod makes modules.dep and its siblings when they are missing.
func (o ImportOptions) depmod(ctx context.Context, base, version string) error {
	if _, err := os.Lstat(filepath.Join(base, "lib", "modules", version, "modules.dep")); err == nil {
		return nil
	}
	command := o.Depmod
	if len(command) == 0 {
		command = []string{"depmod"}
	}
	args := append(command[1:len(command):len(command)], "-b", base, version)
	cmd := exec.CommandContext(ctx, command[0], args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// initramfsOf builds the initramfs of an installed kernel in its folder, and
// says beside it what it is good for. The names of both files end with suffix.
func initramfsOf(dir, version, program, suffix string) ([]string, error) {
	guest, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	modules := os.DirFS(filepath.Join(dir, "lib", "modules", version))
	var made Initramfs
	err = create(filepath.Join(dir, plan.KernelInitrd+suffix), func(w io.Writer) (err error) {
		made, err = BuildInitramfs(w, InitramfsOptions{Guest: guest, Modules: modules, Lists: Lists})
		return err
	})
	if err != nil {
		return nil, err
	}
	drives := []string{plan.TransportSerial}
	if made.Can.Vsock {
		drives = append(drives, plan.TransportVsock)
	}
	if made.Can.MMIO {
		drives = append(drives, plan.BusMMIO)
	}
	drives = append(drives, made.Can.NICs...)
	return made.Modules, create(filepath.Join(dir, plan.KernelDrives+suffix), func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(drives, "\n")+"\n")
		return err
	})
}

func digests(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := walkFiles(dir, func(name string, _ fs.DirEntry) error {
		sum, err := FileDigest(filepath.Join(dir, name))
		files[name] = sum
		return err
	})
	return files, err
}

func encodeManifest(m plan.Manifest) ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

func copyFile(src, dst string) error {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	return create(dst, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// create writes a new file that everyone may read, whatever the umask.
func create(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Chmod(0o644), f.Close())
}
