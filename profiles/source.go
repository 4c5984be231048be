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

// Set is what a host declares beside the built-in profiles, policy and patches.
type Set struct {
	dir      string
	byName   map[string]*schema.Declaration
	policies []*schema.Policy // by name
	patches  []*schema.Patch  // by name
	modules  []*schema.Module // a directory's files each
}

// NewSet returns a set without files, whose directory messages call dir.
func NewSet(dir string) *Set {
	return &Set{dir: dir, byName: map[string]*schema.Declaration{}}
}

// Load reads the files of dir that end in one of schema.Extensions, in the order
// of their names. Hidden files and what editors and package managers leave
// behind are not profiles. A missing directory is an empty set. All that is
// wrong with any of the files is reported, used or not: a file that is not
// understood may hold a default or a policy that every machine of the host is
// meant to have. Parsing takes 20 microseconds a file.
func Load(dir string) (*Set, diag.Diagnostics) {
	return LoadFS(os.DirFS(dir), dir)
}

// LoadFS is Load of a file system's root, which messages call dir.
func LoadFS(files fs.FS, dir string) (*Set, diag.Diagnostics) {
	set := NewSet(dir)
	return set, set.load(files, dir)
}

// LoadHost loads the profiles and policies of a host, and its patches: those in
// patchesDir, or in PatchesDir when it is empty.
func LoadHost(dir, patchesDir string) (*Set, diag.Diagnostics) {
	set, diags := Load(dir)
	if patchesDir == "" {
		patchesDir = PatchesDir(dir)
	}
	return set, append(diags, set.LoadPatches(patchesDir)...)
}

// PatchesDir is where the patches of a host are whose profiles are in dir:
// beside it.
func PatchesDir(dir string) string {
	return filepath.Join(filepath.Dir(filepath.Clean(dir)), "patches")
}

// LoadPatches adds the patches of dir, which has files as Load reads them.
func (s *Set) LoadPatches(dir string) diag.Diagnostics { return s.LoadPatchesFS(os.DirFS(dir), dir) }

// LoadPatchesFS is LoadPatches of a file system's root, which messages call dir.
func (s *Set) LoadPatchesFS(files fs.FS, dir string) diag.Diagnostics {
	return s.load(files, dir)
}

// load adds the declarations of a directory, which is a module of its own.
func (s *Set) load(files fs.FS, dir string) diag.Diagnostics {
	var diags diag.Diagnostics
	entries, err := fs.ReadDir(files, ".") // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return append(diags, unreadable(dir, err))
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
		file, fileDiags := schema.Parse(text, path, "file")
		diags = append(diags, fileDiags...)
		parsed = append(parsed, file)
	}
	return append(diags, s.Add(parsed...)...)
}

// Add adds the declarations of files that see each other's variables and
// locals, and reports what is wrong between them.
func (s *Set) Add(files ...*schema.File) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, f := range files {
		diags = append(diags, s.add(f)...)
	}
	module, linkDiags := schema.Link(files...)
	s.modules = append(s.modules, module)
	slices.SortStableFunc(s.policies, func(a, b *schema.Policy) int { return strings.Compare(a.Name, b.Name) })
	sortPatches(s.patches)
	return append(diags, linkDiags...)
}

// add adds a file's declarations, or reports those whose name is taken.
func (s *Set) add(file *schema.File) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, d := range file.Profiles {
		if first := s.byName[d.Name]; first != nil {
			diags = append(diags, twice("Profile", d.Name, d.Place, first.Place, d.Snippet(d.Place)))
			continue
		}
		s.byName[d.Name] = d
	}
	for _, d := range file.Policies {
		if i := slices.IndexFunc(s.policies, func(p *schema.Policy) bool { return p.Name == d.Name }); i >= 0 {
			diags = append(diags, twice("Policy", d.Name, d.Place, s.policies[i].Place, d.Snippet(d.Place)))
			continue
		}
		s.policies = append(s.policies, d)
	}
	for _, d := range file.Patches {
		if i := slices.IndexFunc(s.patches, func(p *schema.Patch) bool { return p.Name == d.Name }); i >= 0 {
			diags = append(diags, twice("Patch", d.Name, d.Place, s.patches[i].Place, d.Snippet(d.Place)))
			continue
		}
		s.patches = append(s.patches, d)
	}
	return diags
}

// twice reports a declaration beside the first of its name, with both places.
func twice(what, name string, place, first diag.Range, snippet *diag.Snippet) *diag.Diagnostic {
	return &diag.Diagnostic{
		Severity: diag.Error, Summary: what + " defined twice", Range: &place, Snippet: snippet,
		Detail: fmt.Sprintf("The %s %q is defined at %s already. Rename one of them, or put their attributes together.", strings.ToLower(what), name, first),
	}
}

// place is the directory's name for messages.
func (s *Set) place() string {
	if s.dir == "" {
		return HostDir
	}
	return s.dir
}

// isProfile tells a profile from hidden and backup files: web.hcl~,
// web.hcl.bak, .web.hcl.swp, web.hcl.rpmsave and web.hcl.dpkg-old do not end in
// .hcl.
func isProfile(name string) bool {
	return schema.FormOf(name) != "" && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#")
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
	all := slices.AppendSeq(slices.Clone(builtinNames()), maps.Keys(s.byName))
	slices.Sort(all)
	return slices.Compact(all)
}
