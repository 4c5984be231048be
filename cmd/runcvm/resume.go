package main

import (
	"github.com/spf13/cobra"
)

func resumeCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "resume CONTAINER",
		Short: "Let a paused container go on, and set its guest's clock",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := g.ociRuntime()
			if err != nil {
				return err
			}
			return r.Resume(c.Context(), args[0])
		},
	}
}
