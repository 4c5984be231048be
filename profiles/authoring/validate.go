package authoring

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
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
	v := &Validation{FormatVersion: FormatVersion, Files: []string{}}
	modules := map[string][]*schema.File{} // by directory; files named by themselves stand in the host's
	var order []string
	alone := false
	for _, f := range files {
		parsed, more := f.parse()
		diags = append(diags, more...)
		v.Files = append(v.Files, f.path)
		dir := in.Host.Profiles
		if alone = alone || f.direct; !f.direct {
			dir = filepath.Dir(f.path)
		}
		if modules[dir] == nil {
			order = append(order, dir)
		}
		modules[dir] = append(modules[dir], parsed)
	}
	if alone {
		modules[in.Host.Profiles] = append(modules[in.Host.Profiles], neighbours(in.Host, modules)...)
	}
	set := profiles.NewSet(in.Host.Profiles)
	for _, dir := range order {
		diags = append(diags, within(set.Add(modules[dir]...), v.Files)...)
	}
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

// parse reads a file in the form that its name says; that of standard input is
// found by its text, which may be the inside of a profile as well.
func (f file) parse() (*schema.File, diag.Diagnostics) {
	if f.path != StandardInput {
		return schema.Parse(f.text, f.path, "file")
	}
	read := map[schema.Form]func([]byte, string, string) (*schema.File, diag.Diagnostics){
		schema.HCL: schema.ParseHCL, schema.YAML: schema.ParseYAML, schema.JSON: schema.ParseJSON,
	}[schema.FormOfText(string(f.text))]
	if len(bytes.TrimSpace(f.text)) == 0 {
		read = schema.ParseHCL
	}
	if read != nil {
		if parsed, diags := read(f.text, f.path, "file"); !diags.HasErrors() || len(parsed.Declares()) > 0 {
			return parsed, diags
		}
	}
	return schema.ParseInline(f.text, f.path, "file")
}

// neighbours are the host's files that stay beside those that are checked. Their
// own mistakes are not asked for.
func neighbours(host Host, checked map[string][]*schema.File) []*schema.File {
	replaced := map[string]bool{}
	for _, files := range checked {
		for _, f := range files {
			replaced[filepath.Base(f.Name)] = true
			for _, name := range f.Declares() {
				replaced[name] = true
			}
		}
	}
	in := Input{Paths: []string{host.Profiles}}
	all, _ := in.read(profiles.IsProfileFile)
	var stay []*schema.File
	for _, f := range all {
		parsed, _ := f.parse()
		if !replaced[filepath.Base(f.path)] && !slices.ContainsFunc(parsed.Declares(), func(name string) bool { return replaced[name] }) {
			stay = append(stay, parsed)
		}
	}
	return stay
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
