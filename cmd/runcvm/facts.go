package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/oci"
)

func factsCommand(g *globals) *cobra.Command {
	var source oci.Source
	c := &cobra.Command{
		Use:   "facts [options] [-- DOCKER-RUN-FLAGS... [COMMAND...]]",
		Short: "Print what is known of this host and of what would boot, as JSON",
	}
	sourceFlags(c, &source)
	c.RunE = func(c *cobra.Command, _ []string) error {
		g.containerSettings(&source)
		facts, err := g.planner().FactsOf(c.Context(), source)
		if err != nil {
			return err
		}
		return printJSON(facts)
	}
	return c
}
