package install

import (
	"context"
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
	"github.com/runcvm/runcvm/internal/treeswap"
	"github.com/runcvm/runcvm/kernels"
	"github.com/runcvm/runcvm/runtime/install/elfdeps"
)

// toolsFormat changes when the tool root is made differently of the same
// inputs.
const toolsFormat = 2

// fileList holds the digest of every file of the tool root, below it.
const fileList = "etc/runcvm/files.json"

// toolRoot builds the container's root out of unpacked packages.
type toolRoot struct {
	tree    string // the unpacked packages
	suite   suite
	set     packageSet
	runcvm  string // our program
	library string // hardlinks.so
}

// install puts the tool root at target, unless the one that is there was made of
// the same inputs and is intact. It returns its manifest.
func (b *toolRoot) install(ctx context.Context, target string) (m toolsManifest, changed bool, err error) {
	inputs, err := b.inputs()
	if err != nil {
		return m, false, err
	}
	if err := treeswap.Sweep(filepath.Dir(target)); err != nil {
		return m, false, err
	}
	if m, err := readToolsManifest(target); err == nil && m.Inputs == inputs && verifyFiles(target) == nil {
		return m, false, nil
	}
	dir, err := treeswap.New(target)
	if err != nil {
		return m, false, err
	}
	defer os.RemoveAll(dir)
	if err := b.fill(dir); err != nil {
		return m, false, err
	}
	m, err = checkTools(ctx, dir, b.suite)
	if err != nil {
		return m, false, fmt.Errorf("the new tool root does not work, nothing was changed: %w", err)
	}
	m.Inputs, m.Suite, m.Packages = inputs, b.suite.name, b.set.versions()
	if err := writeJSON(filepath.Join(dir, plan.ToolsManifest), m); err != nil {
		return m, false, err
	}
	files, err := listFiles(dir)
	if err != nil {
		return m, false, err
	}
	if err := writeJSON(filepath.Join(dir, fileList), files); err != nil {
		return m, false, err
	}
	return m, true, treeswap.Replace(dir, target)
}

// inputs identifies all that the tool root is made of.
func (b *toolRoot) inputs() (string, error) {
	own, err := kernels.FileDigest(b.runcvm)
	if err != nil {
		return "", err
	}
	library, err := kernels.FileDigest(b.library)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	table := fmt.Sprintf("%+v%+v%+v", contents, directories, emptyFiles)
	err = json.NewEncoder(h).Encode([]any{toolsFormat, table, b.suite.name, b.suite.virtiofsd, b.set.versions(), own, library})
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), err
}

func (b *toolRoot) fill(dir string) error {
	for _, name := range directories {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(
		os.Chmod(filepath.Join(dir, "tmp"), 0o777|fs.ModeSticky),
		os.Symlink("/run", filepath.Join(dir, "var/run")),
	); err != nil {
		return err
	}
	for _, name := range emptyFiles {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			return err
		}
	}
	paths, err := b.paths()
	if err != nil {
		return err
	}
	for _, name := range paths {
		if err := copyEntry(filepath.Join(b.tree, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	library := filepath.Join(dir, plan.HardlinksPath)
	if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
		return err
	}
	return errors.Join(
		copyFile(b.library, library, 0o644),
		copyFile(b.runcvm, filepath.Join(dir, plan.SupervisorPath), 0o755),
	)
}

// paths lists what is copied out of the packages: the table's items, virtiofsd,
// and the closure of their libraries.
func (b *toolRoot) paths() ([]string, error) {
	tree, err := elfdeps.Open(b.tree)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	var programs []string
	for _, it := range append(contents[:len(contents):len(contents)], item{glob: strings.TrimPrefix(b.suite.virtiofsd, "/")}) {
		names, err := expand(b.tree, it)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			links, real, err := tree.Resolve(name)
			if err != nil {
				return nil, err
			}
			for _, l := range append(links, real) {
				all[l] = true
			}
			isELF, err := hasELFMagic(filepath.Join(b.tree, real))
			if err != nil {
				return nil, err
			}
			if isELF {
				programs = append(programs, name)
			}
		}
	}
	libraries, err := tree.Closure(programs...)
	if err != nil {
		return nil, fmt.Errorf("shared libraries of the tool root: %w", err)
	}
	for _, l := range libraries {
		all[l] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// expand returns the files of an item, relative to the tree.
func expand(tree string, it item) ([]string, error) {
	matches, err := filepath.Glob(filepath.Join(tree, it.glob))
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 && !it.optional {
		return nil, fmt.Errorf("the packages have no %s (%s); if %s is damaged, remove it and install again", it.glob, it.reason, filepath.Dir(tree))
	}
	var names []string
	for _, m := range matches {
		err := filepath.WalkDir(m, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(tree, path)
			names = append(names, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func hasELFMagic(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(head[:n]) == "\x7fELF", nil
}

// copyEntry copies a file or a symbolic link, as it is.
func copyEntry(src, dst string) error {
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	st, err := os.Lstat(src)
	if err != nil {
		return err
	}
	if st.Mode().IsRegular() {
		return copyFile(src, dst, st.Mode().Perm())
	}
	target, err := os.Readlink(src)
	if err != nil {
		return err
	}
	return os.Symlink(target, dst)
}

func copyFile(src, dst string, mode fs.FileMode) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}

// listFiles maps each file to its sha256 and each symbolic link to "-> " and
// its target. Folders that hold anything are implied by it.
func listFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(filepath.Join(dir, name))
			files[name] = "-> " + target
			return err
		case d.Type().IsRegular() && name != fileList:
			sum, err := kernels.FileDigest(filepath.Join(dir, name))
			files[name] = sum
			return err
		}
		return nil
	})
	return files, err
}

// verifyFiles tells whether a tool root is as it was made: nothing changed,
// nothing missing, nothing added.
func verifyFiles(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, fileList))
	if err != nil {
		return err
	}
	var want map[string]string
	if err := json.Unmarshal(data, &want); err != nil {
		return err
	}
	for _, name := range directories {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || !st.IsDir() {
			return fmt.Errorf("the folder %s is missing", name)
		}
	}
	got, err := listFiles(dir)
	if err != nil {
		return err
	}
	if !maps.Equal(want, got) {
		return errors.New("files have changed since the installation")
	}
	return nil
}

func writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}
