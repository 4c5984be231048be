package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runcvm/runcvm/profiles/reference"
)

func schemaCommand() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of profile files in YAML and JSON",
		Long: `Print the JSON Schema (draft 2020-12) of profile files in YAML and JSON. Editors
complete and check files with it; "runcvm validate" finds more.`,
		Example: `  runcvm schema >/etc/runcvm/profiles.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			document, err := reference.JSONSchema()
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(document)
			return err
		},
	}
	o.flag(c) // a JSON Schema is the same to people and to programs
	return c
}
