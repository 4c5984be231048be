package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
)

func explainCommand(g *globals) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "explain [options] [ATTRIBUTE|BLOCK]",
		Short: "Say what an attribute means, and which profiles here set it",
		Long: `Say what an attribute of a profile means: its type, the values that are allowed,
its default, docker's flag for it, and which profiles of this host set it. A
block's name lists the block's attributes; without an argument all are listed.`,
		Example: `  runcvm explain machine.memory
  runcvm explain kernel`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: first(attributeNames),
	}
	o.flag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		e, err := authoring.Explain(name, g.host())
		if err != nil {
			return o.writeError(err)
		}
		return o.write(e, nil)
	}
	return c
}
