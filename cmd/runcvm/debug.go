package main

import "github.com/spf13/cobra"

func debugCommand(g *globals) *cobra.Command {
	var out output
	var goOn bool
	c := &cobra.Command{
		Use:   "debug [options] CONTAINER",
		Short: "Tell where a boot with breakpoints holds, and let it go on",
		Long: `Tell where the boot of a container holds that has debug.breakpoints, or RUNCVM_BREAK,
and how to look around there. With --continue it goes on to the next one.`,
		Example: `  docker run -d --runtime=runcvm --name web -e RUNCVM_BREAK=prenet,preqemu nginx
  runcvm debug web
  runcvm debug --continue web`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&goOn, "continue", false, "let the boot go on")
	out.flag(c)
	c.ValidArgsFunction = first(func() []string { return g.planner().AllIDs() })
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		held, err := r.Debug(c.Context(), args[0], goOn)
		if err != nil {
			return out.writeError(err)
		}
		return out.write(held, nil)
	}
	return c
}
