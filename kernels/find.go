package kernels

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
)

// Found is a kernel in a tree. Paths are absolute, from the tree's root.
type Found struct {
	Distribution string
	Version      string // uname -r, from the image itself
	Image        string
	Modules      string   // the folder with modules.dep; empty for a kernel without modules
	Formats      []string // how the names of its modules end
}

// maxUnusable is how many unusable kernels are looked at and told about.
const maxUnusable = 8

// Find looks for a kernel in a tree that is not trusted, in the places of one
// distribution after the other; of several that match one pattern it takes the
// newest. It also returns what looks like a kernel and is none that could boot,
// with the reason. A tree without anything in these places costs some
// microseconds.
func Find(tree *imagefs.Tree, places []plan.KernelPlaces) (*Found, []plan.UnusableKernel) {
	var unusable []plan.UnusableKernel
	seen := map[string]bool{}
	for _, p := range places {
		for _, pattern := range p.Images {
			names := tree.Glob(pattern)
			slices.SortFunc(names, func(a, b string) int { return -CompareVersions(a, b) })
			for _, name := range names {
				real, err := tree.Resolve(name)
				if err == nil && seen[real] || len(unusable) >= maxUnusable {
					continue
				}
				seen[real] = true
				found, err := examine(tree, p, name)
				if err == nil {
					return found, unusable
				}
				unusable = append(unusable, plan.UnusableKernel{Path: name, Reason: reason(err)})
			}
		}
	}
	return nil, unusable
}

// reason is an error without the path, which stands beside it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it is a link that leads to nothing"
	case errors.Is(err, imagefs.ErrLinks):
		return "it is a link in a loop of links"
	}
	return err.Error()
}

// examine looks at a file that may be a kernel, and for its modules.
func examine(tree *imagefs.Tree, p plan.KernelPlaces, name string) (*Found, error) {
	release, err := releaseOf(tree, name)
	if err != nil {
		return nil, err
	}
	found := &Found{Distribution: p.Distribution, Version: release, Image: name, Formats: p.Formats}
	for _, dir := range p.Modules {
		modules := path.Join(dir, release)
		if info, err := tree.Stat(modules); err == nil && info.IsDir() {
			found.Modules = modules
			return found, nil
		}
	}
	return nil, fmt.Errorf("its release is %s, and no modules are in %s", release, path.Join(p.Modules[0], release))
}

func releaseOf(tree *imagefs.Tree, name string) (string, error) {
	f, err := tree.OpenFile(name, maxImage)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return ReadRelease(f, info.Size())
}

// CompareVersions orders releases as people read them: runs of digits by their
// number, the rest by its letters. A release comes after those that it begins
// with, unless a "~" follows, as Debian has it for what precedes.
func CompareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = cutRun(a, false)
		y, b = cutRun(b, false)
		if c := compareText(x, y); c != 0 {
			return c
		}
		x, a = cutRun(a, true)
		y, b = cutRun(b, true)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
	}
	return 0
}

func cutRun(s string, digits bool) (run, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r >= '0' && r <= '9') != digits })
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:]
}

func compareText(a, b string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	}
	return int(s[i])
}
