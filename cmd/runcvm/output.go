package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/profiles/authoring"
)

// answer is what a verb for people has found out.
type answer interface {
	WriteText(w io.Writer, style terminal.Style) error
}

// output is the option --format of such a verb.
type output struct{ format string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVar(&o.format, "format", "text", "text or json")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(*cobra.Command, []string) error {
		if o.format != "text" && o.format != "json" {
			return fmt.Errorf("--format %q: use text or json", o.format)
		}
		return nil
	}
}

func (o *output) json() bool { return o.format == "json" }

// printJSON writes v on standard output, for people and for programs.
func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// write shows an answer on standard output. Diagnostics that are part of it are
// in the JSON already; people read them on standard error.
func (o *output) write(a answer, diags diag.Diagnostics) error {
	if o.json() {
		if err := printJSON(a); err != nil {
			return err
		}
		if diags.HasErrors() {
			return exitCode(1)
		}
		return nil
	}
	if err := a.WriteText(os.Stdout, terminal.StyleOf(os.Stdout)); err != nil {
		return err
	}
	if diags.HasErrors() {
		return diags
	}
	if len(diags) > 0 {
		_, err := io.WriteString(os.Stderr, terminal.StyleOf(os.Stderr).Diagnostics(diags))
		return err
	}
	return nil
}

// writeError is write for a verb that has no answer, because of err.
func (o *output) writeError(err error) error {
	var diags diag.Diagnostics
	if !o.json() || !errors.As(err, &diags) {
		return err
	}
	return o.write(failure{FormatVersion: "1", Diagnostics: diags}, diags)
}

// failure is the JSON of what is wrong.
type failure struct {
	FormatVersion string           `json:"format_version"`
	Diagnostics   diag.Diagnostics `json:"diagnostics"`
}

func (failure) WriteText(io.Writer, terminal.Style) error { return nil }

// host is where this host has its profiles and patches.
func (g *globals) host() authoring.Host {
	return authoring.Host{Profiles: g.profilesDir, Patches: g.patchesDir}
}
