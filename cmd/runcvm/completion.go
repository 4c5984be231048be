package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/authoring"
	"github.com/runcvm/runcvm/schema"
)

// completionCommand takes the place of cobra's own, which has a shell that there
// is not on Linux hosts.
func completionCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes commands in a shell",
		Example: `  runcvm completion bash >/etc/bash_completion.d/runcvm
  runcvm completion zsh >/usr/share/zsh/vendor-completions/_runcvm
  runcvm completion fish >/etc/fish/completions/runcvm.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(_ *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(os.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(os.Stdout)
			default:
				return root.GenFishCompletion(os.Stdout, true)
			}
		},
	}
}

// first completes the first argument, with names.
func first(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		var fitting []string
		if len(args) == 0 {
			for _, name := range names() {
				if strings.HasPrefix(name, begun) {
					fitting = append(fitting, name)
				}
			}
		}
		return fitting, cobra.ShellCompDirectiveNoFileComp
	}
}

func attributeNames() []string { return append(schema.Blocks(), schema.Paths()...) }

func profileNames(g *globals) func() []string {
	return func() []string { return authoring.Names(g.host()) }
}

func containerIDs(g *globals) func() []string {
	return func() []string { return g.planner().IDs() }
}

// completeFlags completes the options that several verbs have.
func completeFlags(c *cobra.Command, g *globals) {
	complete := map[string]func() []string{
		"format":    func() []string { return []string{"text", "json"} },
		"container": func() []string { return g.planner().AllIDs() },
		"against": func() []string {
			var all []string
			for _, name := range profileNames(g)() {
				all = append(all, "profile:"+name)
			}
			for _, id := range g.planner().AllIDs() {
				all = append(all, "container:"+id)
			}
			return all
		},
	}
	for name, values := range complete {
		if c.Flags().Lookup(name) != nil {
			// A verb's own completion stays: this is refused then.
			_ = c.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
				return first(values)(nil, nil, begun)
			})
		}
	}
	for _, below := range c.Commands() {
		completeFlags(below, g)
	}
}
