package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/oci"
)

func planCommand(g *globals) *cobra.Command {
	var bundle, id, format, factsFile string
	c := &cobra.Command{
		Use:   "plan [options]",
		Short: "Show the machine that a bundle would boot as, and where each value comes from",
		Args:  cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVarP(&bundle, "bundle", "b", ".", "`DIR` of the bundle")
	f.StringVar(&id, "id", "", "container `ID`, by which an engine's image labels are found")
	f.StringVar(&factsFile, "facts", "", "replay the facts in `FILE` instead of looking at this host")
	f.StringVar(&format, "format", "text", "text or json")
	c.RunE = func(*cobra.Command, []string) error {
		if format != "text" && format != "json" {
			return fmt.Errorf("--format %q: use text or json", format)
		}
		r := g.planner()
		p, err := r.PlanBundle(id, bundle, factsFile)
		if err != nil {
			return err
		}
		if format == "json" {
			data, err := plan.Encode(p)
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(data)
			return err
		}
		return plan.WriteText(os.Stdout, p)
	}
	return c
}

func factsCommand(g *globals) *cobra.Command {
	var bundle, id string
	c := &cobra.Command{
		Use:   "facts [options]",
		Short: "Print what is known of this host and a bundle, as JSON",
		Args:  cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVarP(&bundle, "bundle", "b", ".", "`DIR` of the bundle")
	f.StringVar(&id, "id", "", "container `ID`, by which an engine's image labels are found")
	c.RunE = func(*cobra.Command, []string) error {
		facts, err := g.planner().BundleFacts(id, bundle)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(facts)
	}
	return c
}

// planner is a runtime for verbs that run nothing: they need no runc.
func (g *globals) planner() *oci.Runtime {
	return &oci.Runtime{Root: g.root, Prefix: g.prefix, ProfilesDir: g.profilesDir, PatchesDir: g.patchesDir, RunDir: g.runDir}
}
