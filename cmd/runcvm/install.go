package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/install"
)

func installCommand(g *globals) *cobra.Command {
	var o install.Options
	c := &cobra.Command{
		Use:   "install [options]",
		Short: "Install RunCVM on this host and register it with Docker",
		Args:  cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Suite, "suite", "", "Debian suite of QEMU, virtiofsd and the kernel: "+strings.Join(install.Suites(), ", ")+" (default "+install.DefaultSuite()+")")
	f.StringVar(&o.Guest, "guest", "", "`FILE` to install as runcvm-guest (default: the one beside this program)")
	f.StringVar(&o.Cache, "cache", install.DefaultCache, "`DIR` of fetched packages")
	f.BoolVar(&o.Refresh, "refresh", false, "look for newer packages")
	dockerFlags(c, &o.Docker)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := interruptible(c.Context())
		defer cancel()
		o.Prefix = g.prefix
		return install.Install(ctx, o, os.Stdout)
	}
	return c
}

func dockerFlags(c *cobra.Command, d *install.Docker) {
	f := c.Flags()
	f.BoolVar(&d.Skip, "no-docker", false, "leave Docker's configuration alone")
	f.StringVar(&d.Config, "docker-config", "", "Docker's configuration `FILE` (default "+install.DefaultDockerConfig+", where Docker is installed)")
	f.StringVar(&d.PIDFile, "docker-pid-file", install.DefaultDockerPID, "`FILE` with the process id of the dockerd to reload")
}
