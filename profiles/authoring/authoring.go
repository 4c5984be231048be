// Package authoring answers what writers of profiles ask: whether they are
// valid, how they are laid out, what an attribute means and who sets it, which
// profiles there are. Each answer is data, which WriteText draws for people and
// encoding/json for programs.
package authoring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/profiles"
)

// FormatVersion is the version of the answers' JSON. It changes when a reader
// of the older form would misunderstand the newer one.
const FormatVersion = "1"

// StandardInput is what messages call a file that came by standard input, and
// Stdin the argument that means it.
const (
	StandardInput = "<stdin>"
	Stdin         = "-"
)

// Host is where a host has its files.
type Host struct {
	Profiles string // the directory of its profiles
	Patches  string // of its patches; empty for the one beside Profiles
}

func (h Host) dirs() []string {
	if h.Patches == "" {
		h.Patches = profiles.PatchesDir(h.Profiles)
	}
	return []string{h.Profiles, h.Patches}
}

// load reads the host's files, and gives back what is wrong with them.
func (h Host) load() (*profiles.Set, diag.Diagnostics) {
	set, diags := profiles.LoadHost(h.Profiles, h.Patches)
	diags.Sort()
	return set, diags
}

// Input is where the files of a verb are.
type Input struct {
	// Host is read where no path is given.
	Host Host
	// Paths are files, directories, or Stdin.
	Paths []string
	Stdin io.Reader
}

// file is one that was read.
type file struct {
	path string
	text []byte
	// direct says that it was named by itself, not found in a directory.
	direct bool
}

// read reads all files; those of a directory that wanted picks by their name.
// What cannot be read is reported.
func (in *Input) read(wanted func(name string) bool) ([]file, diag.Diagnostics) {
	paths := in.Paths
	var diags diag.Diagnostics
	if len(paths) == 0 {
		for _, dir := range in.Host.dirs() {
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) { // a host need not have any
				paths = append(paths, dir)
			}
		}
	}
	var files []file
	add := func(path string, direct bool) {
		text, err := os.ReadFile(path)
		if err != nil {
			diags = append(diags, unreadable(path, err))
			return
		}
		files = append(files, file{path, text, direct})
	}
	for _, path := range paths {
		if path == Stdin {
			text, err := io.ReadAll(in.Stdin)
			if err != nil {
				diags = append(diags, unreadable(StandardInput, err))
				continue
			}
			files = append(files, file{StandardInput, text, true})
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			diags = append(diags, unreadable(path, err))
			continue
		}
		if !info.IsDir() {
			add(path, true)
			continue
		}
		entries, err := os.ReadDir(path) // sorted by name
		if err != nil {
			diags = append(diags, unreadable(path, err))
		}
		for _, e := range entries {
			if wanted(e.Name()) {
				add(filepath.Join(path, e.Name()), false)
			}
		}
	}
	return files, diags
}

func unreadable(path string, err error) *diag.Diagnostic {
	cause := err.Error()
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		cause = pathError.Err.Error()
	}
	return &diag.Diagnostic{
		Severity: diag.Error, Summary: "Unreadable file",
		Detail: fmt.Sprintf("%s cannot be read: %s. Check the path and its permissions.", path, cause),
		Range:  &diag.Range{File: path},
	}
}

// notNil makes an empty list of nil, so that JSON has [] and not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// count writes a number with its noun: "1 file", "2 files".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
