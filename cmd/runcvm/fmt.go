package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
)

func fmtCommand(g *globals) *cobra.Command {
	var o output
	var format authoring.FormatOptions
	c := &cobra.Command{
		Use:   "fmt [options] [FILE|DIR|-]...",
		Short: "Lay out HCL files of profiles",
		Long: `Lay out HCL files: indentation, and equals signs and comments in columns. Files are
rewritten in place, and those that changed are listed. Each is replaced in one
step; mode and owner stay. A file with syntax errors is reported and left as it is.

Without an argument, this host's profiles are laid out. Of a directory, hidden
files and backups are skipped. "-" lays out standard input to standard output.

With --check or --diff nothing is written. With --check the exit code is 2 when a
file's layout would change. It is 1 after an error.`,
		Example: `  runcvm fmt web.hcl
  runcvm fmt --check --diff .`,
	}
	o.flag(c)
	c.Flags().BoolVar(&format.Check, "check", false, "write nothing; exit code 2 when a layout would change")
	c.Flags().BoolVar(&format.Diff, "diff", false, "write nothing; show the changes as a unified diff")
	c.RunE = func(_ *cobra.Command, args []string) error {
		f := authoring.Format(authoring.Input{Host: g.host(), Paths: args, Stdin: os.Stdin}, format)
		if err := o.write(f, f.Diagnostics); err != nil {
			return err
		}
		if format.Check && f.Changed > 0 {
			return exitCode(2)
		}
		return nil
	}
	return c
}
