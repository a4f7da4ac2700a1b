package main

import (
	"github.com/spf13/cobra"

	"datasync-bridge/config"
)

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Print the JSON Schema of the configuration, so that an editor completes and
checks it as you type. Editors that run yaml-language-server read the file's
first line for it:

  # yaml-language-server: $schema=./datasync-bridge.schema.json

The schema knows what each key may hold. What keys say about each other, such as
the name of a notifier, is for ` + "`check`" + ` to see.`,
		Example: "  datasync-bridge schema > datasync-bridge.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(config.Schema())
			return err
		},
	}
}
