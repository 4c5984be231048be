package main

import (
	"github.com/spf13/cobra"
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
	for _, name := range []string{"cpu-period", "cpu-quota", "cpu-share", "cpuset-cpus", "cpuset-mems", "pids-limit", "blkio-weight"} {
		f.String(name, "", "as runc's")
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
