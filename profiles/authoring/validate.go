package authoring

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles"
)

// Validation says whether files of profiles are valid.
type Validation struct {
	FormatVersion string           `json:"format_version"`
	Valid         bool             `json:"valid"`
	ErrorCount    int              `json:"error_count"`
	WarningCount  int              `json:"warning_count"`
	Files         []string         `json:"files"`
	Diagnostics   diag.Diagnostics `json:"diagnostics"`
}

// Validate checks files of profiles and reports every mistake of all of them. A
// file that is named by itself is looked at as if it stood among the host's, in
// place of the one that has its name or declares the same.
func Validate(in Input) *Validation {
	files, diags := in.read(profiles.IsProfileFile)
	set := profiles.NewSet(in.HostDir)
	v := &Validation{FormatVersion: FormatVersion, Files: []string{}}
	alone := false
	for _, f := range files {
		v.Files = append(v.Files, f.path)
		if f.path == StandardInput {
			diags = append(diags, set.AddInline(f.text, f.path)...)
		} else {
			diags = append(diags, set.Add(f.text, f.path)...)
		}
		alone = alone || f.direct
	}
	if alone {
		for _, f := range neighbours(in.HostDir, files, set) {
			set.Add(f.text, f.path) // the mistakes there are not asked for
		}
	}
	diags = append(diags, within(set.Link(), v.Files)...)
	diags = append(diags, within(set.Check(), v.Files)...)
	sortByFile(diags, v.Files)
	v.Diagnostics = notNil(diags)
	for _, d := range diags {
		if d.Severity == diag.Error {
			v.ErrorCount++
		} else {
			v.WarningCount++
		}
	}
	v.Valid = v.ErrorCount == 0
	return v
}

// neighbours are the host's files that stay beside those of set.
func neighbours(hostDir string, files []file, set *profiles.Set) []file {
	replaced := map[string]bool{}
	for _, f := range files {
		replaced[filepath.Base(f.path)] = true
	}
	for _, name := range set.Declares() {
		replaced[name] = true
	}
	host := Input{HostDir: hostDir}
	all, _ := host.read(profiles.IsProfileFile)
	return slices.DeleteFunc(all, func(f file) bool {
		one := profiles.NewSet(hostDir)
		one.Add(f.text, f.path)
		return replaced[filepath.Base(f.path)] || slices.ContainsFunc(one.Declares(), func(name string) bool { return replaced[name] })
	})
}

// sortByFile puts diagnostics in the order of the files and of their lines.
func sortByFile(diags diag.Diagnostics, files []string) {
	diags.Sort()
	place := func(d *diag.Diagnostic) int {
		if d.Range == nil {
			return -1
		}
		return slices.Index(files, d.Range.File)
	}
	slices.SortStableFunc(diags, func(a, b *diag.Diagnostic) int { return place(a) - place(b) })
}

// within keeps the diagnostics that are about the files.
func within(diags diag.Diagnostics, files []string) diag.Diagnostics {
	asked := map[string]bool{}
	for _, f := range files {
		asked[f] = true
	}
	var kept diag.Diagnostics
	for _, d := range diags {
		if d.Range == nil || asked[d.Range.File] {
			kept = append(kept, d)
		}
	}
	return kept
}

// WriteText says that all is well. Mistakes are drawn by who reports errors.
func (v *Validation) WriteText(w io.Writer, style terminal.Style) error {
	if !v.Valid {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s %s checked.\n", style.Green("Valid:"), count(len(v.Files), "file"))
	return err
}
