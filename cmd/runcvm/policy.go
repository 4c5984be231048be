package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/profiles/policytest"
)

func policyCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Try this host's policies",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(policyTestCommand(g))
	return c
}

func policyTestCommand(g *globals) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "test [options] FILE...",
		Short: "Run the cases in files against the policies of --profiles-dir; exit code 1 when one fails",
		Args:  cobra.MinimumNArgs(1),
	}
	out.flag(c)
	c.RunE = func(_ *cobra.Command, files []string) error {
		report, err := g.testPolicies(files)
		if err != nil {
			return err
		}
		if out.json() {
			err = printJSON(report)
		} else {
			err = report.WriteText(os.Stdout)
		}
		if err == nil && report.Failed > 0 {
			return exitCode(1)
		}
		return err
	}
	return c
}

func (g *globals) testPolicies(files []string) (*policytest.Report, error) {
	set, diags := profiles.LoadHost(g.profilesDir, g.patchesDir)
	var cases []policytest.Case
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the cases: %w", err)
		}
		more, wrong := policytest.Parse(src, file)
		diags = append(diags, wrong...)
		cases = append(cases, more...)
	}
	if err := diags.Err(); err != nil {
		return nil, err
	}
	report := policytest.Run(set, cases)
	return &report, nil
}
