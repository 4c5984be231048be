package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
	"github.com/runcvm/runcvm/schema"
)

func convertCommand(g *globals) *cobra.Command {
	var o output
	var from, to string
	c := &cobra.Command{
		Use:   "convert [options] FILE|-",
		Short: "Write a file of profiles in HCL, YAML or JSON",
		Long: `Write a file of profiles in another form, to standard output. The result means the
same; expressions stay expressions. A file with mistakes is reported instead.

Comments go along between HCL and YAML where they belong to a block or an
attribute; a warning counts those that do not, and all of them in JSON, which has
no comments. Anchors, aliases and merge keys of YAML become what they stand for,
and several documents one.`,
		Example: `  runcvm convert --to yaml web.hcl >web.yaml
  runcvm convert --to hcl - <web.json`,
		Args: cobra.ExactArgs(1),
	}
	o.flag(c)
	c.Flags().StringVar(&from, "from", "", "`FORM` of the file: hcl, yaml or json (default: by its name or its text)")
	c.Flags().StringVar(&to, "to", "hcl", "`FORM` of the result: hcl, yaml or json")
	for _, name := range []string{"from", "to"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(authoring.FormNames, cobra.ShellCompDirectiveNoFileComp))
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		target, err := authoring.FormNamed(to)
		if err != nil {
			return err
		}
		var source schema.Form
		if from != "" {
			if source, err = authoring.FormNamed(from); err != nil {
				return err
			}
		}
		converted := authoring.Convert(authoring.Input{HostDir: g.profilesDir, Paths: args, Stdin: os.Stdin}, source, target)
		return o.write(converted, converted.Diagnostics)
	}
	return c
}
