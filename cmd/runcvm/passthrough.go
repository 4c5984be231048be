package main

import "github.com/spf13/cobra"

// passthroughVerbs are runc's as they are: what they do to the container is
// right for the container of a VM, too.
var passthroughVerbs = []struct{ name, short string }{
	{"ps", "List the container's processes on the host: the supervisor, QEMU, virtiofsd"},
	{"pause", "Freeze the container and so its VM"},
	{"events", "Print a container's events and resource use"},
	{"features", "Print what the OCI runtime below supports"},
	{"spec", "Write a config.json to start from"},
	{"list", "List containers"},
}

func passthroughCommands(g *globals) []*cobra.Command {
	var commands []*cobra.Command
	for _, verb := range passthroughVerbs {
		commands = append(commands, &cobra.Command{
			Use:                verb.name,
			Short:              verb.short,
			DisableFlagParsing: true,
			RunE: func(_ *cobra.Command, args []string) error {
				r, err := g.ociRuntime()
				if err != nil {
					return err
				}
				return r.Passthrough(append([]string{verb.name}, args...)...)
			},
		})
	}
	return commands
}
