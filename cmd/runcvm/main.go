// Command runcvm is an OCI runtime that boots container images as virtual
// machines. Verbs of the OCI runtime are called by container engines; the
// others are for people. One file for each verb, no logic.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/runtime/oci"
)

// version is set by the linker.
var version = "dev"

// exitCode is a verb's own exit code, already explained.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	g := &globals{}
	root := newRoot(g)
	root.SetArgs(g.doubleDashes(args))
	err := root.ExecuteContext(context.Background())
	var code exitCode
	var runc *oci.RuncError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &runc): // it has said why
		return runc.Code
	}
	g.reportError(err)
	return 1
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:              "runcvm",
		Short:            "Run container images as virtual machines",
		Version:          version,
		TraverseChildren: true, // global options stand before the verb, as runc has them
		SilenceErrors:    true,
		SilenceUsage:     true,
	}
	// Else a verb that is not there, such as checkpoint, would show the help and
	// succeed.
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
	root.SetVersionTemplate("runcvm version {{.Version}}\nspec: 1.2.0\n")
	g.flags(root)
	root.AddGroup(
		&cobra.Group{ID: "user", Title: "For people:"},
		&cobra.Group{ID: "oci", Title: "OCI runtime, for container engines:"},
	)
	for _, c := range []*cobra.Command{
		installCommand(g), uninstallCommand(g), planCommand(g), factsCommand(g), kernelsCommand(g), runCommand(g),
		validateCommand(g), fmtCommand(g), explainCommand(g), profilesCommand(g), schemaCommand(), convertCommand(g), policyCommand(g), debugCommand(g), topCommand(g), conformanceCommand(), completionCommand(root),
	} {
		c.GroupID = "user"
		root.AddCommand(c)
	}
	for _, c := range append([]*cobra.Command{
		createCommand(g), startCommand(g), execCommand(g), killCommand(g), deleteCommand(g), stateCommand(g), updateCommand(g), resumeCommand(g),
	}, passthroughCommands(g)...) {
		c.GroupID = "oci"
		root.AddCommand(c)
	}
	root.AddCommand(superviseCommand(), relayCommand(), hookCommand())
	root.SetHelpCommandGroupID("user")
	root.CompletionOptions.DisableDefaultCmd = true
	completeFlags(root, g)
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true // Use has them
		if c.GroupID == "oci" && c.ValidArgsFunction == nil {
			c.ValidArgsFunction = first(containerIDs(g))
		}
	}
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf(`unknown command %q: "runcvm --help" lists the commands%s`, name, diag.DidYouMean(name, names))
}

// doubleDashes turns the single-dash form of long global options, which runc's
// callers may use, into the double-dash form. It stops at the verb.
func (g *globals) doubleDashes(args []string) []string {
	out := append([]string{}, args...)
	for i, a := range out {
		if !strings.HasPrefix(a, "-") || a == "-" || a == "--" {
			if i == 0 || !g.takesValue(out[i-1]) {
				break
			}
			continue
		}
		if !strings.HasPrefix(a, "--") && len(a) > 2 {
			out[i] = "-" + a
		}
	}
	return out
}

// interruptible is a context that ends with SIGINT or SIGTERM, for verbs that
// people wait for.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
}
