package authoring

import (
	"fmt"
	"io"

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

// Validate checks files of profiles and reports every mistake of all of them.
// Profiles of a file that is named by itself may inherit the host's.
func Validate(in Input) *Validation {
	files, diags := in.read(profiles.IsProfileFile)
	set := profiles.NewSet(in.HostDir)
	v := &Validation{FormatVersion: FormatVersion, Files: []string{}}
	alone := false
	for _, f := range files {
		v.Files = append(v.Files, f.path)
		diags = append(diags, set.Add(f.text, f.path)...)
		alone = alone || f.direct
	}
	if alone {
		host, _ := profiles.Load(in.HostDir) // the mistakes there are not asked for
		set.Adopt(host)
	}
	diags = append(diags, within(set.Check(), v.Files)...)
	diags.Sort()
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
