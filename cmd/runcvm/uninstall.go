package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/install"
)

func uninstallCommand(g *globals) *cobra.Command {
	var o install.UninstallOptions
	c := &cobra.Command{
		Use:   "uninstall [options]",
		Short: "Take back what install did",
		Args:  cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Cache, "cache", install.DefaultCache, "`DIR` of fetched packages")
	f.BoolVar(&o.KeepCache, "keep-cache", false, "keep the fetched packages")
	f.BoolVar(&o.Force, "force", false, "remove the files of VMs that run, too")
	dockerFlags(c, &o.Docker)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := interruptible(c.Context())
		defer cancel()
		o.Prefix, o.RunDir = g.prefix, g.runDir
		return install.Uninstall(ctx, o, os.Stdout)
	}
	return c
}
