package main

import "github.com/spf13/cobra"

func deleteCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "delete [options] CONTAINER",
		Short: "Delete a container and its state",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolP("force", "f", false, "kill the container if it still runs")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		return r.Delete(c.Context(), args[0], append(changed(c), args[0]))
	}
	return c
}
