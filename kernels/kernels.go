// Package kernels keeps the kernels that VMs boot: it imports them from
// unpacked distribution packages, extracts the ELF image, builds the
// initramfs, and lists what is installed.
//
// A kernel's folder is <prefix>/kernels/<distribution>/<version>, with the
// files named in package plan and lib/modules/<version> below it. The link
// "latest" beside the versions names the default one.
package kernels

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// Names below an installation's prefix.
const (
	Dir    = "kernels"
	latest = "latest"
)

// List returns the kernels installed below prefix, sorted by distribution,
// then version. It reads directories, links and very small files only. A prefix
// without kernels gives an empty list.
func List(prefix string) ([]plan.InstalledKernel, error) {
	top := filepath.Join(prefix, Dir)
	distributions, err := readDir(top)
	if err != nil {
		return nil, err
	}
	var list []plan.InstalledKernel
	for _, d := range distributions {
		if !d.IsDir() || hidden(d.Name()) {
			continue
		}
		dir := filepath.Join(top, d.Name())
		versions, err := readDir(dir)
		if err != nil {
			return nil, err
		}
		// Without the link, no kernel of the distribution is its default.
		byDefault, err := os.Readlink(filepath.Join(dir, latest))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, v := range versions {
			if !v.IsDir() || hidden(v.Name()) {
				continue
			}
			host := filepath.Join(dir, v.Name())
			can, err := abilitiesOf(host)
			if err != nil {
				return nil, err
			}
			_, err = os.Lstat(filepath.Join(host, plan.KernelVmlinux))
			list = append(list, plan.InstalledKernel{
				Distribution: d.Name(),
				Version:      v.Name(),
				HostDir:      host,
				HasVmlinux:   err == nil,
				Default:      v.Name() == byDefault,

				KernelAbilities: can,
			})
		}
	}
	slices.SortFunc(list, func(a, b plan.InstalledKernel) int {
		return cmp.Or(cmp.Compare(a.Distribution, b.Distribution), cmp.Compare(a.Version, b.Version))
	})
	return list, nil
}

// abilitiesOf says what the kernel in a folder can be used for. An initramfs that
// was made before there was a choice drives the least.
func abilitiesOf(dir string) (can plan.KernelAbilities, err error) {
	list, err := os.ReadFile(filepath.Join(dir, plan.KernelDrives))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return can, err
	}
	for _, name := range strings.Fields(string(list)) {
		switch name {
		case plan.TransportSerial:
		case plan.TransportVsock:
			can.Vsock = true
		case plan.BusMMIO:
			can.MMIO = true
		default:
			can.NICs = append(can.NICs, name)
		}
	}
	image, err := os.Open(filepath.Join(dir, plan.KernelImage))
	if errors.Is(err, fs.ErrNotExist) {
		return can, nil
	}
	if err != nil {
		return can, err
	}
	defer image.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(image, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return can, err
	}
	can.EFI = hasEFIStub(head[:n])
	return can, nil
}

// hidden tells the folders under construction, or set aside, from kernels.
func hidden(name string) bool { return strings.HasPrefix(name, ".") }

func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// ReadManifest reads the manifest of a kernel's folder.
func ReadManifest(dir string) (plan.Manifest, error) {
	var m plan.Manifest
	name := filepath.Join(dir, plan.KernelManifest)
	data, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// Verify compares every file that the manifest of a kernel's folder lists with
// its sha256. The error names each file that is missing or differs.
func Verify(dir string) error {
	m, err := ReadManifest(dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if !filepath.IsLocal(name) {
			problems = append(problems, fmt.Errorf("the manifest lists %q, which is not below the folder", name))
			continue
		}
		sum, err := FileDigest(filepath.Join(dir, name))
		switch {
		case err != nil:
			problems = append(problems, err)
		case sum != m.Files[name]:
			problems = append(problems, fmt.Errorf("%s: its sha256 is %s, the manifest has %s", name, sum, m.Files[name]))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("kernel folder %s is damaged: %w", dir, errors.Join(problems...))
	}
	return nil
}

// FileDigest returns the sha256 of a regular file in hex.
func FileDigest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
