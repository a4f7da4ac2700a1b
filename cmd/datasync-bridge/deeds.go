package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"datasync-bridge/web/view"
)

func (c *cli) acknowledgeCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:     "acknowledge ID",
		Short:   "Say that you look after an incident: reminders and escalation stop",
		Example: `  datasync-bridge incidents acknowledge in_0000000000000 --why "calling the partner"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.deed(cmd, args[0], "acknowledged", func(d deeds) error {
				return d.Acknowledge(cmd.Context(), args[0], why)
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "what to record beside your name")
	return cmd
}

func (c *cli) resolveCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:     "resolve ID --why TEXT",
		Short:   "End an incident by hand: everyone who was told is told so",
		Example: `  datasync-bridge incidents resolve in_0000000000000 --why "partner confirmed receipt by phone"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return usagef("resolve needs --why: the next reader wants to know how you knew")
			}
			return c.deed(cmd, args[0], "resolved", func(d deeds) error {
				return d.Resolve(cmd.Context(), args[0], why)
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "how you know that it is over")
	return cmd
}

func (c *cli) retryCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "retry ID",
		Short:   "Send a dead delivery once more",
		Example: "  datasync-bridge deliveries list --state dead\n  datasync-bridge deliveries retry dl_0000000000000",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.deed(cmd, args[0], "queued again", func(d deeds) error {
				return d.RetryDelivery(cmd.Context(), args[0])
			})
		},
	}
}

// deed carries one change out and says so.
func (c *cli) deed(cmd *cobra.Command, id, done string, do func(deeds) error) error {
	if err := c.withDeeds(cmd.Context(), do); err != nil {
		return named(err, id)
	}
	_, err := fmt.Fprintln(c.out, id, done)
	return err
}

// named says which id the bridge did not find: its answer names none.
func named(err error, id string) error {
	if refused, ok := errors.AsType[*view.Error](err); ok && refused.Status == http.StatusNotFound {
		return fmt.Errorf("%s: %w", id, refused)
	}
	return err
}
