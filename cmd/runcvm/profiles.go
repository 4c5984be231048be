package main

import (
	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
)

func profilesCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "profiles",
		Short: "List and show the profiles of this host",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(profilesListCommand(g), profilesShowCommand(g))
	return c
}

func profilesListCommand(g *globals) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "list [options]",
		Short: "List the built-in profiles and this host's",
		Args:  cobra.NoArgs,
	}
	o.flag(c)
	c.RunE = func(*cobra.Command, []string) error {
		l := authoring.List(g.host())
		return o.write(l, l.Diagnostics)
	}
	return c
}

func profilesShowCommand(g *globals) *cobra.Command {
	var o output
	var resolved bool
	c := &cobra.Command{
		Use:   "show [options] NAME",
		Short: "Show a profile's text or, resolved, every value with its origin",
		Long: `Show a profile's text as its file has it. With --resolved, show what a container
gets on this host that asks for it: every attribute, with where its value came from
and what it beat, patches included. Expressions see a container without limits.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(profileNames(g)),
	}
	o.flag(c)
	c.Flags().BoolVar(&resolved, "resolved", false, "merge it with what it stands upon")
	c.RunE = func(_ *cobra.Command, args []string) error {
		if !resolved {
			s, err := authoring.Show(args[0], g.host())
			if err != nil {
				return o.writeError(err)
			}
			return o.write(s, nil)
		}
		variables, err := g.planner().HostVariables()
		if err != nil {
			return err
		}
		r, err := authoring.Resolve(args[0], g.host(), variables)
		if err != nil {
			return o.writeError(err)
		}
		return o.write(r, nil)
	}
	return c
}
