package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/oci"
)

func updateCommand(g *globals) *cobra.Command {
	var resources string
	c := &cobra.Command{
		Use:   "update [options] CONTAINER",
		Short: "Change a container's resources while it runs",
		Args:  cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVarP(&resources, "resources", "r", "", "read OCI resources from `FILE` (- for stdin)")
	for _, flag := range oci.UpdateFlags {
		f.String(flag.Name, "", flag.Help)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		return r.Update(c.Context(), args[0], resources, changed(c, "resources"))
	}
	return c
}
