package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/conformance/differential"
)

func conformanceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "conformance",
		Short: "Compare this host's virtual machines with its containers",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(conformanceRunCommand())
	return c
}

func conformanceRunCommand() *cobra.Command {
	r := differential.Runner{Environ: nil, Prefix: fmt.Sprintf("runcvm-conformance-%d-", os.Getpid())}
	var pattern, format string
	c := &cobra.Command{
		Use:   "run [options]",
		Short: "Run the cases under two runtimes of an engine and compare; exit code 1 when one differs",
		Args:  cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&r.Engine, "engine", "docker", "container engine: docker or podman")
	f.StringVar(&r.Tested, "runtime", "runcvm", "`RUNTIME` to test, as the engine knows it")
	f.StringVar(&r.Reference, "reference", "runc", "`RUNTIME` to compare with")
	f.StringVar(&r.Base, "image", "debian:bookworm", "`IMAGE` of Debian that the cases run")
	f.DurationVar(&r.Limit, "timeout", 3*time.Minute, "limit of one command of the engine")
	f.StringVar(&pattern, "case", "*", "run the cases whose names match the `GLOB`")
	f.StringVar(&format, "format", "text", "format of the report: "+strings.Join(differential.Formats, ", "))
	c.RunE = func(c *cobra.Command, _ []string) error {
		if r.Engine != "docker" && r.Engine != "podman" {
			return fmt.Errorf("--engine %q: use docker or podman", r.Engine)
		}
		if _, err := exec.LookPath(r.Engine); err != nil {
			return fmt.Errorf("the container engine: %w; install it, or choose the other one by --engine", err)
		}
		if !slices.Contains(differential.Formats, format) {
			return fmt.Errorf("--format %q: use one of %s", format, strings.Join(differential.Formats, ", "))
		}
		cases, err := matching(pattern)
		if err != nil {
			return err
		}
		ctx, cancel := interruptible(c.Context())
		defer cancel()
		failed, err := r.RunAll(ctx, cases, differential.NewReporter(os.Stdout, format, len(cases)))
		if err == nil && failed > 0 {
			return exitCode(1)
		}
		return err
	}
	return c
}

// matching are the cases whose names match a glob.
func matching(pattern string) ([]differential.Case, error) {
	all, err := differential.Cases()
	if err != nil {
		return nil, err
	}
	var names []string
	var cases []differential.Case
	for _, c := range all {
		names = append(names, c.Name)
		ok, err := path.Match(pattern, c.Name)
		if err != nil {
			return nil, fmt.Errorf("--case %q: %w", pattern, err)
		}
		if ok {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("--case %q: no case matches; there are %s", pattern, strings.Join(names, ", "))
	}
	return cases, nil
}
