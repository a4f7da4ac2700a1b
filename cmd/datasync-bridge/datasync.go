package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/datasync"
	"datasync-bridge/outbound"
)

func (c *cli) datasyncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "datasync",
		Short: "Call the Datasync API: partners, transactions, automations, token",
		Long: `Call the Datasync API with the configuration's credentials, in the environment
that datasync.environment names. A call that Datasync refuses is explained, with
the request id to quote in a ticket.`,
		Example: `  datasync-bridge datasync transactions --status failed --since 24h
  datasync-bridge datasync partners get par_7h2k9`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.partnersCommand(), c.transactionsCommand(), c.automationCommand(), c.tokenCommand())
	return cmd
}

// api is the client of a configuration that has credentials.
func (c *cli) api() (*datasync.Client, *config.Config, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, nil, err
	}
	if err := configured(cfg); err != nil {
		return nil, nil, err
	}
	client, err := c.client(cfg, cfg.Datasync)
	return client, cfg, err
}

func (c *cli) client(cfg *config.Config, api datasync.Config) (*datasync.Client, error) {
	log, err := c.logger()
	if err != nil {
		return nil, err
	}
	return datasync.New(api, outbound.New(cfg.Outbound), datasync.Options{Log: log}), nil
}

func configured(cfg *config.Config) error {
	if cfg.Datasync.Configured() {
		return nil
	}
	return errors.New("datasync.client_id and datasync.client_secret are missing: create a client in the console under Settings → API Access")
}

// host names what is called, for people: the load has refused an address with
// a password in it.
func host(api datasync.Config) string { return api.WithDefaults().Base() }

// explained adds to a refusal what kind of trouble it is, and what to do next.
func explained(err error) error {
	refused, ok := errors.AsType[*datasync.Error](err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w\n  %s", err, printable(refused.Advice()))
}
