package main

import "github.com/spf13/cobra"

func startCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "start CONTAINER",
		Short: "Boot a created container's VM and wait until its entrypoint runs",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := g.ociRuntime()
			if err != nil {
				return err
			}
			return r.Start(c.Context(), args[0], args)
		},
	}
}
