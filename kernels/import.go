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
	"github.com/runcvm/runcvm/internal/treeswap"
)

// importFormat changes when Import makes something else of the same inputs.
const importFormat = "1"

// ImportOptions are the inputs of Import.
type ImportOptions struct {
	Prefix       string // of the installation
	Distribution string // "debian"
	Tree         string // an unpacked kernel package, with boot/vmlinuz-<version>
	Package      string // its name and version, for the manifest
	Guest        string // the runcvm-guest program
	// Depmod is the command that runs depmod(8), "depmod" when empty. It runs
	// when the package has no modules.dep, as Debian's have not.
	Depmod []string
}

// Imported is what Import has installed.
type Imported struct {
	Kernel  plan.InstalledKernel
	Modules []string // in the initramfs, in load order
	Changed bool     // false when everything was there already
}

// Import installs the kernel of an unpacked package below the prefix and makes
// "latest" point at it. The folder appears, or changes, in one step. When the
// inputs are those of the last time and the folder is intact, nothing changes.
func Import(ctx context.Context, o ImportOptions) (Imported, error) {
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
	if err := treeswap.Sweep(parent); err != nil {
		return Imported{}, err
	}
	imported := Imported{Kernel: plan.InstalledKernel{
		Distribution: o.Distribution, Version: src.version, HostDir: dst, HasVmlinux: true, Default: true,
	}}
	m, err := ReadManifest(dst)
	if err != nil || m.Builder != builder || Verify(dst) != nil {
		if m, err = o.build(ctx, src, dst, builder); err != nil {
			return Imported{}, fmt.Errorf("kernel %s: %w", src.version, err)
		}
		imported.Changed = true
	}
	imported.Modules = m.Modules
	if imported.Kernel.Vsock, err = hasVsock(dst); err != nil {
		return Imported{}, err
	}
	link := filepath.Join(parent, latest)
	if now, err := os.Readlink(link); err != nil || now != src.version {
		if err := renameio.Symlink(src.version, link); err != nil {
			return Imported{}, err
		}
		imported.Changed = true
	}
	return imported, nil
}

// source is a kernel in an unpacked package.
type source struct {
	version string
	image   string
	modules string // the folder lib/modules/<version>
}

func findKernel(tree string) (source, error) {
	images, err := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	if err != nil {
		return source{}, err
	}
	if len(images) != 1 {
		return source{}, fmt.Errorf("%s/boot has %d files vmlinuz-*: an unpacked kernel package has one", tree, len(images))
	}
	s := source{image: images[0], version: strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")}
	for _, lib := range []string{"lib", "usr/lib"} {
		dir := filepath.Join(tree, lib, "modules", s.version)
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			s.modules = dir
			return s, nil
		}
	}
	return source{}, fmt.Errorf("%s has no lib/modules/%s: the kernel's modules are missing", tree, s.version)
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
	m := plan.Manifest{Distribution: o.Distribution, Version: s.version, Package: o.Package, Builder: builder}
	dir, err := treeswap.New(dst)
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir) // nothing is there once it has been swapped in
	modules := filepath.Join(dir, "lib", "modules", s.version)
	steps := []func() error{
		func() error { return copyFile(s.image, filepath.Join(dir, plan.KernelImage)) },
		func() error { return extractTo(s.image, filepath.Join(dir, plan.KernelVmlinux)) },
		func() error { return copyModules(s.modules, modules) },
		func() error { return o.depmod(ctx, dir, s.version) },
		func() (err error) {
			m.Modules, err = o.initramfs(modules, dir)
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
			return fmt.Errorf("extract the ELF image from %s: %w", image, err)
		}
		return nil
	})
}

func copyModules(src, dst string) error {
	return walkFiles(src, func(name string, _ fs.DirEntry) error {
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

// initramfs makes the initramfs in the kernel's folder and says what it is good
// for.
func (o ImportOptions) initramfs(modules, dir string) ([]string, error) {
	guest, err := os.ReadFile(o.Guest)
	if err != nil {
		return nil, err
	}
	var made Initramfs
	err = create(filepath.Join(dir, plan.KernelInitrd), func(w io.Writer) (err error) {
		made, err = BuildInitramfs(w, InitramfsOptions{Guest: guest, Modules: os.DirFS(modules), Lists: Lists})
		return err
	})
	if err != nil {
		return nil, err
	}
	transports := plan.TransportSerial + "\n"
	if made.Vsock {
		transports += plan.TransportVsock + "\n"
	}
	return made.Modules, create(filepath.Join(dir, plan.KernelTransports), func(w io.Writer) error {
		_, err := io.WriteString(w, transports)
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

func writeManifest(dir string, m plan.Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return create(filepath.Join(dir, plan.KernelManifest), func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
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
