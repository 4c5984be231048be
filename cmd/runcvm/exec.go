package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/runtime/oci"
)

func execCommand(g *globals) *cobra.Command {
	var file string
	var o oci.ProcessOptions
	var ignorePaused bool
	c := &cobra.Command{
		Use:   "exec [options] CONTAINER [COMMAND [ARGUMENT...]]",
		Short: "Run a process in a running VM",
		Args:  cobra.MinimumNArgs(1),
	}
	f := c.Flags()
	f.SetInterspersed(false) // what follows the container is the command's
	f.StringVarP(&file, "process", "p", "", "read the process from `FILE`, an OCI process.json")
	f.StringVar(&o.Cwd, "cwd", "", "working directory")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "set `NAME=VALUE` (repeatable)")
	f.BoolVarP(&o.Terminal, "tty", "t", false, "give the process a terminal")
	f.StringVarP(&o.User, "user", "u", "", "run as `UID[:GID]`")
	f.UintSliceVarP(&o.AdditionalGids, "additional-gids", "g", nil, "further group `IDs`")
	f.BoolP("detach", "d", false, "do not wait for the process")
	f.String("console-socket", "", "unix socket that receives the terminal's master")
	f.String("pidfd-socket", "", "unix socket that receives a pidfd of the process")
	f.String("pid-file", "", "write the process's id to `FILE`")
	f.Int("preserve-fds", 0, "number of further descriptors to pass")
	f.StringArray("cgroup", nil, "cgroup to run in")
	f.BoolVar(&ignorePaused, "ignore-paused", false, "allow it in a paused container")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		o.File, o.Args = file, args[1:]
		process, err := r.Process(args[0], o)
		if err != nil {
			return err
		}
		return r.Exec(c.Context(), oci.ExecOptions{
			ID: args[0], Process: process,
			Console:      c.Flags().Changed("console-socket"),
			IgnorePaused: ignorePaused,
			RuncArgs:     changed(c, "process", "cwd", "env", "tty", "user", "additional-gids", "preserve-fds"),
		})
	}
	return c
}
