package main

import "github.com/spf13/cobra"

func stateCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "state CONTAINER",
		Short: "Print a container's state as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := g.ociRuntime()
			if err != nil {
				return err
			}
			return r.State(c.Context(), args[0])
		},
	}
}
