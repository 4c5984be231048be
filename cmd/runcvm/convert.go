package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
	"github.com/runcvm/runcvm/runtime/oci"
)

// What --from names beside the forms of files.
const (
	fromEnv    = "env"
	fromDocker = "docker"
)

func convertCommand(g *globals) *cobra.Command {
	var o output
	var from, to, name string
	c := &cobra.Command{
		Use:   "convert [options] FILE|-|NAME=VALUE...|-- DOCKER-RUN-FLAGS...",
		Short: "Write a file of profiles, variables or docker run's flags as HCL, YAML or JSON",
		Long: `Write a file of profiles in another form, to standard output. The result means the
same; expressions stay expressions. A file with mistakes is reported instead.

Comments go along between HCL and YAML where they belong to a block or an
attribute; a warning counts those that do not, and all of them in JSON, which has
no comments. Anchors, aliases and merge keys of YAML become what they stand for,
and several documents one.

With --from env, RUNCVM_ variables become a profile that does the same: as
arguments, or in a file of the form that docker run --env-file reads. With --from
docker, docker run's flags do, those that are about the machine: limits, the label
runcvm.profile, variables. A warning lists the others.`,
		Example: `  runcvm convert --to yaml web.hcl >web.yaml
  runcvm convert --to hcl - <web.json
  runcvm convert --from env --name web RUNCVM_CPUS=2 RUNCVM_MEMORY=1G
  runcvm convert --from docker --name web -- -m 1g --cpus 2 nginx`,
		Args: cobra.MinimumNArgs(1),
	}
	o.flag(c)
	c.Flags().StringVar(&from, "from", "", "`FORM` of the file: hcl, yaml, json, env or docker (default: by its name or its text)")
	c.Flags().StringVar(&to, "to", "hcl", "`FORM` of the result: hcl, yaml or json")
	c.Flags().StringVar(&name, "name", "converted", "`NAME` of the profile that is made of variables or flags")
	_ = c.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(append([]string{fromEnv, fromDocker}, authoring.FormNames...), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("to", cobra.FixedCompletions(authoring.FormNames, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(_ *cobra.Command, args []string) error {
		target, err := authoring.FormNamed(to)
		if err != nil {
			return err
		}
		in := authoring.Input{Host: g.host(), Paths: args, Stdin: os.Stdin}
		var converted *authoring.Converted
		switch from {
		case fromEnv:
			converted = authoring.FromEnvironment(name, in, target)
		case fromDocker:
			run, err := oci.AskedOf(args)
			if err != nil {
				return err
			}
			converted = authoring.FromRun(name, run, target)
		default:
			if converted, err = authoring.ConvertNamed(in, from, target); err != nil {
				return err
			}
		}
		return o.write(converted, converted.Diagnostics)
	}
	return c
}
