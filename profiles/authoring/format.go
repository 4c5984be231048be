package authoring

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema/hclfmt"
)

// FormatOptions says what happens to files whose layout changes.
type FormatOptions struct {
	Check bool // they are left as they are
	Diff  bool // the changes are shown; alone, files are left as they are
}

// Formatting is what became of the files.
type Formatting struct {
	FormatVersion string           `json:"format_version"`
	Changed       int              `json:"changed"`
	Files         []FormattedFile  `json:"files"`
	Diagnostics   diag.Diagnostics `json:"diagnostics"`

	options FormatOptions
}

// FormattedFile is one of them.
type FormattedFile struct {
	File    string `json:"file"`
	Changed bool   `json:"changed"`
	Written bool   `json:"written"`
	Diff    string `json:"diff,omitempty"`
	// Text is the layout of what came by standard input.
	Text string `json:"text,omitempty"`

	stdin bool
}

// Format lays out HCL files, in place unless the options say otherwise. A file
// with syntax errors is reported and left as it is.
func Format(in Input, o FormatOptions) *Formatting {
	files, diags := in.read(func(name string) bool { return profiles.IsProfileFile(name) && isHCL(name) })
	result := &Formatting{FormatVersion: FormatVersion, Files: []FormattedFile{}, options: o}
	for _, f := range files {
		if f.path != StandardInput && !isHCL(f.path) {
			diags = append(diags, &diag.Diagnostic{
				Severity: diag.Error, Summary: "Not an HCL file", Range: &diag.Range{File: f.path},
				Detail: fmt.Sprintf("%s does not end in .hcl: only HCL has a layout of its own. \"runcvm convert\" writes a profile in another language.", f.path),
			})
			continue
		}
		formatted, fileDiags := formatFile(f, o)
		diags = append(diags, fileDiags...)
		if !fileDiags.HasErrors() {
			result.Files = append(result.Files, formatted)
			if formatted.Changed {
				result.Changed++
			}
		}
	}
	result.Diagnostics = notNil(diags)
	return result
}

func isHCL(name string) bool { return strings.HasSuffix(name, ".hcl") }

func formatFile(f file, o FormatOptions) (FormattedFile, diag.Diagnostics) {
	out, diags := hclfmt.Format(f.text, f.path)
	if diags.HasErrors() {
		return FormattedFile{}, diags
	}
	r := FormattedFile{File: f.path, Changed: !bytes.Equal(f.text, out), stdin: f.path == StandardInput}
	if r.Changed && o.Diff {
		r.Diff = unifiedDiff(f.path, f.text, out)
	}
	if r.stdin && !o.Check && !o.Diff {
		r.Text = string(out)
	}
	if r.Changed && !r.stdin && !o.Check && !o.Diff {
		if err := replace(f.path, out); err != nil {
			return r, append(diags, &diag.Diagnostic{
				Severity: diag.Error, Summary: "File not written", Range: &diag.Range{File: f.path},
				Detail: fmt.Sprintf("%s was left as it is: %v.", f.path, err),
			})
		}
		r.Written = true
	}
	return r, diags
}

// unifiedDiff is a diff that patch(1) applies.
func unifiedDiff(path string, before, after []byte) string {
	text := diff.Diff(path, before, path+" (formatted)", after)
	// The first line, "diff a b", is for people who have no names below it.
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	return string(rest)
}

// replace puts a new text in a file's place, in one step: whoever reads the
// file sees the old one or the new one. Mode and owner stay; a symbolic link
// stays one.
func replace(path string, text []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	pending, err := renameio.NewPendingFile(target, renameio.WithTempDir(filepath.Dir(target)), renameio.WithStaticPermissions(info.Mode().Perm()))
	if err != nil {
		return err
	}
	defer pending.Cleanup() //nolint:errcheck // nothing is left to clean up after the replacement
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
		if err := pending.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("keep the owner: %w", err)
		}
	}
	if _, err := pending.Write(text); err != nil {
		return err
	}
	return pending.CloseAtomicallyReplace()
}

// WriteText lists the files that changed or would change, their diffs, or what
// came by standard input in its new layout.
func (r *Formatting) WriteText(w io.Writer, style terminal.Style) error {
	for _, f := range r.Files {
		var err error
		switch {
		case f.stdin && !r.options.Check && !r.options.Diff:
			_, err = io.WriteString(w, f.Text)
		case f.Diff != "":
			_, err = io.WriteString(w, style.Diff(f.Diff))
		case f.Changed:
			_, err = fmt.Fprintln(w, f.File)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
