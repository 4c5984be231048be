package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/oci"
)

func hookCommand() *cobra.Command {
	return &cobra.Command{
		Use:                oci.HookVerb + " PATH [ARGUMENT...]",
		Short:              "Stand before a hook of a container's",
		Hidden:             true,
		Args:               cobra.MinimumNArgs(1),
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return oci.Hook(args[0], args[1:]) },
	}
}
