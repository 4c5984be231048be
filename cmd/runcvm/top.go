package main

import "github.com/spf13/cobra"

func topCommand(g *globals) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "top [options] CONTAINER",
		Short: "List the processes in a container's machine",
		Long: `List the processes in a container's machine, by the numbers that they have there.
docker top and "runcvm ps" list those on the host: the supervisor, QEMU and
virtiofsd. The image needs no ps.`,
		Example: "  runcvm top web\n  runcvm top --format json web",
		Args:    cobra.ExactArgs(1),
	}
	out.flag(c)
	c.ValidArgsFunction = first(func() []string { return g.planner().AllIDs() })
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		top, err := r.Top(c.Context(), args[0])
		if err != nil {
			return out.writeError(err)
		}
		return out.write(top, nil)
	}
	return c
}
