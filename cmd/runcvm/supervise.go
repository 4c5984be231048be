package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/supervisor"
)

func superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise",
		Short:  "Run the VM of this container: the container's PID 1",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return exitCode(supervisor.Run(plan.StateMount, stdio()))
		},
	}
}

func relayCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "relay TOKEN",
		Short:  "Stand in the container for a process of the VM",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			code, err := supervisor.Relay(plan.StateMount, args[0], stdio())
			if err != nil {
				return err
			}
			return exitCode(code)
		},
	}
}

func stdio() supervisor.Stdio {
	return supervisor.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
}
