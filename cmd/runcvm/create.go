package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/runcvm/runcvm/runtime/oci"
)

func createCommand(g *globals) *cobra.Command {
	var bundle string
	c := &cobra.Command{
		Use:   "create [options] CONTAINER",
		Short: "Create a container whose VM boots when it is started",
		Args:  cobra.ExactArgs(1),
	}
	bundleFlags(c, &bundle)
	c.RunE = func(c *cobra.Command, args []string) error {
		// It ends after some 16 MiB, of which collections would take a fifth of the time.
		debug.SetGCPercent(400)
		r, err := g.ociRuntime()
		if err != nil {
			return err
		}
		return r.Create(c.Context(), oci.CreateOptions{
			ID: args[0], Bundle: bundle, RuncArgs: changed(c, "bundle", "preserve-fds"),
			Descriptors: descriptors(c),
		})
	}
	return c
}

// descriptors is how many the caller wants to hand to the container beyond
// stdio.
func descriptors(c *cobra.Command) int {
	n, _ := c.Flags().GetInt("preserve-fds") // bundleFlags has it
	return n
}

// bundleFlags are the options that runc's create and run share.
func bundleFlags(c *cobra.Command, bundle *string) {
	f := c.Flags()
	f.StringVarP(bundle, "bundle", "b", ".", "`DIR` of the bundle")
	f.String("console-socket", "", "unix socket that receives the terminal's master")
	f.String("pid-file", "", "write the container's process id to `FILE`")
	f.String("pidfd-socket", "", "unix socket that receives a pidfd of the container's process")
	f.Bool("no-pivot", false, "do not use pivot_root")
	f.Bool("no-new-keyring", false, "keep the session keyring")
	f.Int("preserve-fds", 0, "number of further descriptors to pass")
}

// changed returns the command's own options that were given, without those
// named.
func changed(c *cobra.Command, without ...string) []string {
	skip := map[string]bool{"help": true}
	for _, name := range without {
		skip[name] = true
	}
	var args []string
	c.Flags().Visit(func(f *pflag.Flag) {
		if skip[f.Name] || c.InheritedFlags().Lookup(f.Name) != nil {
			return
		}
		if slice, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range slice.GetSlice() {
				args = append(args, "--"+f.Name+"="+v)
			}
			return
		}
		args = append(args, "--"+f.Name+"="+f.Value.String())
	})
	return args
}
