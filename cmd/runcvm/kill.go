package main

import "github.com/spf13/cobra"

func killCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "kill [options] CONTAINER [SIGNAL]",
		Short: "Send the entrypoint a signal (default SIGTERM)",
		Args:  cobra.RangeArgs(1, 2),
	}
	c.Flags().BoolP("all", "a", false, "every process of the container: in a VM, those follow the entrypoint")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		signal := ""
		if len(args) == 2 {
			signal = args[1]
		}
		return r.Kill(c.Context(), args[0], signal, append(changed(c), args...))
	}
	return c
}
