package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Put the configuration in force while serve runs",
		Long: `Ask the running bridge to read its configuration file again. Sources, rules,
defaults, calendars, digests, silences, notifiers and remediations are swapped as
one; what else differs is named, and needs a restart. A file with a fault changes
nothing. Nothing is sent again. A changed file is found without this, too.`,
		Example: "  datasync-bridge reload -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			remote, err := adminClient(cfg)
			if err != nil {
				return err
			}
			done, err := remote.Reload(cmd.Context())
			if _, ok := errors.AsType[*net.OpError](err); ok {
				return fmt.Errorf("no bridge answers at admin.listen (%s): is serve running with this configuration? %w", cfg.Admin.Listen, err)
			}
			if err != nil {
				return err
			}
			if c.output == "json" {
				return writeJSON(c.out, done)
			}
			for _, w := range done.Warnings {
				fmt.Fprintln(c.err, w)
			}
			if len(done.Restart) > 0 {
				fmt.Fprintf(c.err, "only a restart of serve puts in force: %s\n", strings.Join(done.Restart, ", "))
			}
			if done.Config == done.Was {
				_, err = fmt.Fprintf(c.out, "in force: configuration %s, as before\n", done.Config)
			} else {
				_, err = fmt.Fprintf(c.out, "in force: configuration %s (was %s)\n", done.Config, done.Was)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}
