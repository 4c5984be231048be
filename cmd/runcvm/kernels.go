package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/kernels"
	"github.com/runcvm/runcvm/runtime/install"
)

func kernelsCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "kernels",
		Short: "List, add, verify and remove kernels that machines can boot",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(kernelsListCommand(g), kernelsAddCommand(g), kernelsVerifyCommand(g), kernelsRemoveCommand(g))
	return c
}

func kernelsListCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "list [options]",
		Short: "List the installed kernels, and those built for containers",
		Args:  cobra.NoArgs,
	}
	var out output
	out.flag(c)
	c.RunE = func(*cobra.Command, []string) error {
		inventory, err := kernels.TakeInventory(g.prefix)
		if err != nil {
			return err
		}
		if out.json() {
			return printJSON(inventory)
		}
		t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "KERNEL\tLATEST\tIN USE\tFROM")
		for _, k := range inventory.Kernels {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", k.Name, yes(k.Latest), k.Users, k.Package)
		}
		for _, k := range inventory.Built {
			fmt.Fprintf(t, "%s\t\t%d\tbuilt from %s\n", k.Name, k.Users, k.Package)
		}
		return t.Flush()
	}
	return c
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func kernelsAddCommand(g *globals) *cobra.Command {
	var o install.AddKernelOptions
	c := &cobra.Command{
		Use:   "add [options] DISTRIBUTION FOLDER|PACKAGE.deb",
		Short: "Install a kernel from a folder with its modules, or from a Debian package",
		Args:  cobra.ExactArgs(2),
	}
	c.Flags().BoolVar(&o.KeepLatest, "keep-latest", false, "leave the distribution's default kernel as it is")
	c.Flags().StringVar(&o.Cache, "cache", install.DefaultCache, "`DIR` of fetched packages, of which depmod is one")
	var out output
	out.flag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Prefix, o.Distribution, o.Source = g.prefix, args[0], args[1]
		ctx, stop := interruptible(c.Context())
		defer stop()
		added, err := install.AddKernel(ctx, o, os.Stderr)
		if err != nil {
			return err
		}
		if out.json() {
			return printJSON(added)
		}
		state := "was there already"
		if added.Changed {
			state = "is installed, with " + strings.Join(added.Modules, " ") + " in its initramfs"
		}
		fmt.Printf("The kernel %s/%s %s\n", added.Kernel.Distribution, added.Kernel.Version, state)
		return nil
	}
	return c
}

func kernelsVerifyCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify [options] [DISTRIBUTION/VERSION...]",
		Short: "Compare the files of kernels with their manifests",
	}
	var out output
	out.flag(c)
	c.RunE = func(_ *cobra.Command, names []string) error {
		results, err := kernels.VerifyAll(g.prefix, names)
		if err != nil {
			return err
		}
		damaged := false
		for _, r := range results {
			damaged = damaged || r.Problem != ""
			if !out.json() {
				fmt.Printf("%s: %s\n", r.Name, orIntact(r.Problem))
			}
		}
		if out.json() {
			err = printJSON(results)
		}
		if damaged {
			err = errors.Join(err, exitCode(1))
		}
		return err
	}
	return c
}

func orIntact(problem string) string {
	if problem == "" {
		return "intact"
	}
	return problem
}

func kernelsRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove DISTRIBUTION/VERSION...",
		Short: "Remove kernels that no machine uses",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			for _, name := range names {
				k, err := install.RemoveKernel(ctx, g.prefix, name, os.Stderr)
				if err != nil {
					return err
				}
				fmt.Printf("Removed the kernel %s/%s\n", k.Distribution, k.Version)
			}
			return nil
		},
	}
}
