// Package profiles finds profiles, built-in ones and the host's, and merges
// those that a container asks for into one resolved profile.
package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// HostDir is where a host has its profiles.
const HostDir = "/etc/runcvm/profiles"

// Set is the profiles of a host beside the built-in ones. Files are parsed when
// a profile of theirs is needed: most containers need one or two of many. A set
// is for one goroutine.
type Set struct {
	dir     string
	sources []*source
}

// source is a file of the host's directory.
type source struct {
	path  string
	text  []byte
	names []string // what the file seems to declare
	odd   bool     // it may declare others as well

	file  *schema.File // nil before parse
	diags diag.Diagnostics
}

// Load reads the *.hcl files of dir in the order of their names. Hidden files
// and what editors and package managers leave behind are not profiles. A
// missing directory is an empty set; a file that cannot be read is an error.
func Load(dir string) (*Set, diag.Diagnostics) {
	return LoadFS(os.DirFS(dir), dir)
}

// LoadFS is Load of a file system's root, which messages call dir.
func LoadFS(files fs.FS, dir string) (*Set, diag.Diagnostics) {
	var diags diag.Diagnostics
	set := &Set{dir: dir}
	entries, err := fs.ReadDir(files, ".") // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		diags = append(diags, unreadable(dir, err))
		return set, diags
	}
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
		set.sources = append(set.sources, newSource(path, text))
	}
	return set, diags
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

// heading finds what looks like a profile's heading. It may find too much, in a
// comment or a text, which parsing sorts out. oddHeading finds the beginnings
// whose names it cannot read: those with a comment or an escape.
var (
	heading    = regexp.MustCompile(`profile(?:[ \t]*"([^"\\\n]*)"|[ \t]+([A-Za-z0-9_.-]+))`)
	oddHeading = regexp.MustCompile(`profile[ \t]*(?:/\*|"[^"\n]*\\)`)
)

// newSource lists the names that a file seems to declare, without parsing it.
func newSource(path string, text []byte) *source {
	s := &source{path: path, text: text, odd: oddHeading.Match(text)}
	for _, m := range heading.FindAllSubmatch(text, -1) {
		s.names = append(s.names, string(m[1])+string(m[2]))
	}
	return s
}

// declares reports whether the file may declare a name.
func (s *source) declares(name string) bool { return s.odd || slices.Contains(s.names, name) }

// parse parses the file when that has not been done.
func (s *source) parse() {
	if s.file == nil {
		s.file, s.diags = schema.ParseHCL(s.text, s.path, "file")
	}
}

// find returns the host's declarations of a name, in the order of the files,
// and what is wrong with the files that have them.
func (s *Set) find(name string) ([]*schema.Declaration, diag.Diagnostics) {
	var found []*schema.Declaration
	var diags diag.Diagnostics
	for _, src := range s.sources {
		if !src.declares(name) {
			continue
		}
		src.parse()
		concerned := slices.Contains(src.names, name)
		for _, d := range src.file.Profiles {
			if d.Name == name {
				found = append(found, d)
				concerned = true
			}
		}
		if concerned {
			diags = append(diags, src.diags...)
		}
	}
	if len(found) > 1 {
		diags = append(diags, duplicates(found)...)
	}
	return found, diags
}

// duplicates reports each declaration of a name beside the first, with both
// places.
func duplicates(found []*schema.Declaration) diag.Diagnostics {
	var diags diag.Diagnostics
	first := found[0].Place
	for _, d := range found[1:] {
		place := d.Place
		diags = append(diags, &diag.Diagnostic{
			Severity: diag.Error,
			Summary:  "Profile defined twice",
			Detail:   fmt.Sprintf("The profile %q is defined at %s already. Rename one of them, or put their attributes together.", d.Name, first),
			Range:    &place,
			Snippet:  d.Snippet(place),
		})
	}
	return diags
}

// names lists every profile that can be asked for, sorted.
func (s *Set) names() []string {
	var all []string
	for name := range builtins() {
		all = append(all, name)
	}
	for _, src := range s.sources {
		src.parse()
		for _, d := range src.file.Profiles {
			all = append(all, d.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Check parses every file and reports all that is wrong with them, values that
// depend on variables excepted.
func (s *Set) Check() diag.Diagnostics {
	var diags diag.Diagnostics
	byName := map[string][]*schema.Declaration{}
	var order []string
	for _, src := range s.sources {
		src.parse()
		diags = append(diags, src.diags...)
		for _, d := range src.file.Profiles {
			if byName[d.Name] == nil {
				order = append(order, d.Name)
			}
			byName[d.Name] = append(byName[d.Name], d)
		}
	}
	for _, name := range order {
		diags = append(diags, duplicates(byName[name])...)
	}
	return diags
}
