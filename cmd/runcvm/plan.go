package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/engine/plan/view"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/runtime/oci"
)

// exitDiffers is --detailed-exitcode's answer to a comparison that found
// something.
const exitDiffers = 2

func planCommand(g *globals) *cobra.Command {
	var o oci.Planning
	var format string
	var shown view.Options
	var detailed bool
	c := &cobra.Command{
		Use:   "plan [options] [-- DOCKER-RUN-FLAGS... [COMMAND...]]",
		Short: "Show the machine that would boot, where each value comes from, and how it differs from another",
		Long: `Show the machine that would boot, and where each value comes from: that of a
bundle, a config.json, an image or an unpacked root file system. For a running
container, show what a start now would change.

After --, --image and --rootfs take docker run's flags and a command.`,
		Example: `  runcvm plan --image nginx -- -m 1g --cpus 2
  runcvm plan --container web --detailed-exitcode
  runcvm plan --bundle . --out before.json; runcvm plan --bundle . --against before.json`,
	}
	sourceFlags(c, &o.Source)
	f := c.Flags()
	f.StringVar(&o.Against, "against", "", "show what differs from `X`: a file by --out, profile:NAME, container:ID, or a name of one of these")
	f.StringVar(&o.Out, "out", "", "write the plan to `FILE` as JSON as well")
	f.BoolVar(&detailed, "detailed-exitcode", false, "0 when nothing differs, 1 for an error, 2 when something does")
	f.BoolVar(&shown.Full, "full", false, "show the whole plan before what differs")
	f.BoolVar(&shown.Commands, "commands", false, "show the command lines of QEMU and virtiofsd as well")
	f.StringVar(&format, "format", "text", "text or json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		shown.Colour = terminal.StyleOf(os.Stdout).Color
		v := view.New(format, os.Stdout, shown)
		if v == nil {
			return fmt.Errorf("--format %q: use %s", format, strings.Join(view.Formats, " or "))
		}
		g.containerSettings(&o.Source)
		planned, err := g.planner().MakePlan(c.Context(), o)
		if err != nil {
			return err
		}
		if detailed && planned.Comparison == nil {
			return fmt.Errorf("--detailed-exitcode: nothing is compared: name %s", diag.Choices([]string{"--against X", "--container ID"}))
		}
		if err := planned.Show(v); err != nil {
			return err
		}
		if detailed && planned.Differs() {
			return exitCode(exitDiffers)
		}
		return nil
	}
	return c
}

// sourceFlags are the options that say what is planned.
func sourceFlags(c *cobra.Command, s *oci.Source) {
	f := c.Flags()
	f.StringVarP(&s.Bundle, "bundle", "b", "", "`DIR` of a bundle (default: the working directory)")
	f.StringVar(&s.Config, "config", "", "`FILE` as the config.json of a bundle (- for stdin)")
	f.StringVar(&s.Container, "container", "", "running container by `ID`, beginning of an ID, or name in Docker")
	f.StringVar(&s.Image, "image", "", "`IMAGE` of the Docker engine")
	f.StringVar(&s.Rootfs, "rootfs", "", "`DIR` with a root file system; without a command, it runs /bin/sh")
	f.StringVar(&s.ID, "id", "", "container `ID`, by which an engine's image labels are found")
	f.StringVar(&s.Facts, "facts", "", "replay the facts in `FILE` instead of looking at this host")
	c.Args = func(c *cobra.Command, args []string) error {
		if dash := c.ArgsLenAtDash(); len(args) > 0 && dash != 0 {
			return fmt.Errorf("%q: what is planned is named by an option, such as --bundle or --container; docker run's flags stand after --", args[0])
		}
		s.Run = args
		return nil
	}
}

// containerSettings has options that were given stand in the place of those
// that a container was created with.
func (g *globals) containerSettings(s *oci.Source) {
	if g.set.Changed("prefix") {
		s.Prefix = g.prefix
	}
	if g.set.Changed("profiles-dir") {
		s.ProfilesDir = g.profilesDir
	}
}

// planner is a runtime for verbs that run nothing: they need no runc.
func (g *globals) planner() *oci.Runtime {
	return &oci.Runtime{Root: g.root, Prefix: g.prefix, ProfilesDir: g.profilesDir, PatchesDir: g.patchesDir, RunDir: g.runDir}
}
