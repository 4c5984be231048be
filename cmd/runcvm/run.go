package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/oci"
)

func runCommand(g *globals) *cobra.Command {
	var bundle, timeline string
	c := &cobra.Command{
		Use:   "run [options] CONTAINER",
		Short: "Boot a bundle as a VM, without a container engine",
		Args:  cobra.ExactArgs(1),
	}
	bundleFlags(c, &bundle)
	c.Flags().BoolP("detach", "d", false, "leave the container running")
	c.Flags().Bool("keep", false, "do not delete the container when it has ended")
	c.Flags().StringVar(&timeline, "timeline", "", "write the boot timeline to `FILE` as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		return r.Run(c.Context(), oci.RunOptions{
			CreateOptions: oci.CreateOptions{
				ID: args[0], Bundle: bundle, RuncArgs: changed(c, "bundle", "timeline", "preserve-fds"),
				Descriptors: descriptors(c),
			},
			Timeline: timeline,
		})
	}
	return c
}
