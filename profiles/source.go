// Package profiles finds profiles, built-in ones and the host's, and merges
// those that a container asks for into one resolved profile.
package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// HostDir is where a host has its profiles.
const HostDir = "/etc/runcvm/profiles"

// Set is the profiles of a host beside the built-in ones.
type Set struct {
	dir    string
	byName map[string]*schema.Declaration
}

// Load reads the *.hcl files of dir in the order of their names. Hidden files
// and what editors and package managers leave behind are not profiles. A
// missing directory is an empty set. All that is wrong with any of the files is
// reported, used or not: a file that is not understood may hold a default that
// every machine of the host is meant to have. Parsing takes 20 microseconds a
// file.
func Load(dir string) (*Set, diag.Diagnostics) {
	return LoadFS(os.DirFS(dir), dir)
}

// LoadFS is Load of a file system's root, which messages call dir.
func LoadFS(files fs.FS, dir string) (*Set, diag.Diagnostics) {
	var diags diag.Diagnostics
	set := &Set{dir: dir, byName: map[string]*schema.Declaration{}}
	entries, err := fs.ReadDir(files, ".") // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return set, append(diags, unreadable(dir, err))
	}
	var parsed []*schema.File
	for _, e := range entries {
		if !isProfile(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			diags = append(diags, unreadable(path, err))
			continue
		}
		file, fileDiags := schema.ParseHCL(text, path, "file")
		diags = append(diags, fileDiags...)
		parsed = append(parsed, file)
		for _, d := range file.Profiles {
			diags = append(diags, set.add(d)...)
		}
	}
	_, linkDiags := schema.Link(parsed...)
	return set, append(diags, linkDiags...)
}

// add adds a declaration, or reports it beside the first of its name, with both
// places.
func (s *Set) add(d *schema.Declaration) diag.Diagnostics {
	first := s.byName[d.Name]
	if first == nil {
		s.byName[d.Name] = d
		return nil
	}
	place := d.Place
	return diag.Diagnostics{{
		Severity: diag.Error,
		Summary:  "Profile defined twice",
		Detail:   fmt.Sprintf("The profile %q is defined at %s already. Rename one of them, or put their attributes together.", d.Name, first.Place),
		Range:    &place,
		Snippet:  d.Snippet(place),
	}}
}

// isProfile tells a profile from hidden and backup files: web.hcl~,
// web.hcl.bak, .web.hcl.swp, web.hcl.rpmsave and web.hcl.dpkg-old do not end in
// .hcl.
func isProfile(name string) bool {
	return strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#")
}

func unreadable(path string, err error) *diag.Diagnostic {
	cause := err.Error()
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		cause = pathError.Err.Error()
	}
	return &diag.Diagnostic{
		Severity: diag.Error,
		Summary:  "Unreadable profile",
		Detail:   fmt.Sprintf("%s cannot be read: %s. It may hold a profile that this machine needs: make it readable, or remove it.", path, cause),
		Range:    &diag.Range{File: path},
	}
}

// names lists every profile that can be asked for, sorted.
func (s *Set) names() []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(builtins())), maps.Keys(s.byName))
	slices.Sort(all)
	return slices.Compact(all)
}
