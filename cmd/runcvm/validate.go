package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
)

func validateCommand(g *globals) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "validate [options] [FILE|DIR|-]...",
		Short: "Check files of profiles and report every mistake",
		Long: `Check files of profiles, and report every mistake of all of them at once.

Without an argument, this host's profiles are checked. Of a directory, those
files are checked that a host would read: no hidden files and no backups. "-" is
standard input. Profiles of a file that is named by itself may inherit the host's.

The exit code is 1 when there is a mistake.`,
		Example: `  runcvm validate
  runcvm validate web.hcl
  runcvm validate --format json - <web.hcl`,
	}
	o.flag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		v := authoring.Validate(authoring.Input{Host: g.host(), Paths: args, Stdin: os.Stdin})
		return o.write(v, v.Diagnostics)
	}
	return c
}
