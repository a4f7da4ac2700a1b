package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// running is one command line of datasync run.
type running struct {
	workflow string
	params   []string
	key, why string
	yes      bool
}

func (c *cli) automationCommand() *cobra.Command {
	var o running
	cmd := &cobra.Command{
		Use:   "run WORKFLOW --param NAME=VALUE",
		Short: "Run an automation by hand, once",
		Long: `Run an automation by hand, once (POST /automations/run). What will be run, and
where, is printed first, and a person at a terminal is asked; elsewhere --yes
must be said. The call is never repeated by itself: where its outcome is unclear,
it may have run, and must be looked at before anybody runs it again.

` + remediation.KillSwitch + `=off and runs stop --all refuse it, as they refuse every run. None
of the other guard rails of remediations apply: this is your own deed, and is
recorded as such where the bridge has its store.`,
		Example: `  datasync-bridge datasync run resend_invoice --param transaction_id=txn_8f3a21c9`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.workflow = args[0]
			return c.runAutomation(cmd.Context(), o)
		},
	}
	cmd.Flags().StringArrayVar(&o.params, "param", nil, "a parameter as `NAME=VALUE`; may be given many times")
	cmd.Flags().StringVar(&o.key, "key", "", "idempotency `key` (default WORKFLOW:TRANSACTION_ID:cli-RANDOM)")
	cmd.Flags().StringVar(&o.why, "why", "", "what to record beside your name")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (c *cli) runAutomation(ctx context.Context, o running) error {
	params, err := parseParams(o.params)
	if err != nil {
		return err
	}
	if o.key == "" {
		o.key = keyFor(o.workflow, params)
	}
	client, cfg, err := c.api()
	if err != nil {
		return err
	}
	if err := c.notStopped(ctx, cfg); err != nil {
		return err
	}
	rows := [][]string{{"run", o.workflow}, {"at", host(cfg.Datasync)}, {"environment", string(client.Environment())}}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		rows = append(rows, []string{"param " + name, plain(params[name])})
	}
	if err := writeTable(c.out, nil, append(rows, []string{"key", o.key})); err != nil {
		return err
	}
	if err := c.confirm("Run "+o.workflow+" in "+string(client.Environment())+"?", o.yes); err != nil {
		return err
	}
	line := incident.Audit{
		Action: incident.AuditCalled, Subject: "run " + o.workflow, Why: o.why, Key: o.key,
		Result: "about to call, in " + string(client.Environment()),
	}
	recorded, err := c.recorded(ctx, cfg, line)
	switch {
	case err != nil:
		return fmt.Errorf("nothing was run, because it could not be recorded: %w", err)
	case !recorded:
		fmt.Fprintln(c.err, "there is no store here, so nothing of this is recorded")
	}
	answer, err := client.Run(ctx, o.workflow, params, o.key)
	result, failure := outcomeOf(answer, err)
	if recorded {
		line.Result, line.RequestID = result, requestOf(answer, err)
		c.recordAfter(ctx, cfg, line)
	}
	if failure != nil {
		return failure
	}
	_, err = fmt.Fprintf(c.out, "\naccepted, not done yet: its outcome comes as an event\nrun      %s\nstatus   %s\nrequest  %s\n",
		told(answer.RunID), told(answer.Status), told(answer.RequestID))
	return err
}

// notStopped refuses where somebody has stopped all runs, by the variable or by
// runs stop --all: that was meant for hands in a hurry as well.
func (c *cli) notStopped(ctx context.Context, cfg *config.Config) error {
	if remediation.SwitchedOff(os.Getenv(remediation.KillSwitch)) {
		return fmt.Errorf("%s switches all runs off, so nothing was run; whoever set it knows why", remediation.KillSwitch)
	}
	if !hasStore(cfg) {
		return nil
	}
	return c.withReader(ctx, func(s *sqlite.Store) error {
		switches, err := s.Switches(ctx)
		if err != nil {
			return fmt.Errorf("nothing was run, because it cannot be seen whether runs are stopped: %w", err)
		}
		for _, one := range switches {
			if one.Scope == "" && one.Off {
				return fmt.Errorf("all runs were stopped by %s (%s), so nothing was run; first: runs resume --all", printable(one.By), printable(one.Why))
			}
		}
		return nil
	})
}

// parseParams reads NAME=VALUE; a value is text.
func parseParams(pairs []string) (map[string]any, error) {
	params := map[string]any{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("--param: %q is not NAME=VALUE", pair)
		}
		if _, twice := params[name]; twice {
			return nil, usagef("--param: %s is given twice", name)
		}
		params[name] = value
	}
	return params, nil
}

// keyFor makes a key that no other run has: a person who says it again means it.
func keyFor(workflow string, params map[string]any) string {
	parts := []string{workflow}
	if id, ok := params["transaction_id"].(string); ok && id != "" {
		parts = append(parts, id)
	}
	return strings.Join(append(parts, "cli-"+rand.Text()), ":")
}

// outcomeOf says in a word what came of a call, and how the command ends.
func outcomeOf(answer datasync.RunAnswer, err error) (result string, failure error) {
	if err == nil {
		return strings.TrimSpace("accepted " + answer.RunID), nil
	}
	if refused, ok := errors.AsType[*datasync.Error](err); ok && mayHaveRun(refused) {
		return "unknown: " + refused.Reason(), fmt.Errorf("it may have run: check before you run it again: %w", explained(err))
	} else if ok {
		return "failed, nothing was run: " + refused.Reason(), fmt.Errorf("nothing was run: %w", explained(err))
	}
	return "unknown", fmt.Errorf("it may have run: check before you run it again: %w", err)
}

// mayHaveRun reports whether a call left and no answer says that it was refused.
func mayHaveRun(e *datasync.Error) bool {
	switch e.Kind {
	case datasync.Server, datasync.Network, datasync.Unexpected:
		return e.Sent
	}
	return false
}

func requestOf(answer datasync.RunAnswer, err error) string {
	if refused, ok := errors.AsType[*datasync.Error](err); ok {
		return refused.RequestID
	}
	return answer.RequestID
}

func told(text string) string {
	if text == "" {
		return "not told"
	}
	return printable(text)
}

// recorded adds a line to the record of deeds, and reports whether there is a
// store to keep it.
func (c *cli) recorded(ctx context.Context, cfg *config.Config, line incident.Audit) (bool, error) {
	if !hasStore(cfg) {
		return false, nil
	}
	_, err := c.carryOut(ctx, cfg, func(d deeds) error { return d.Record(ctx, line) })
	return err == nil, err
}

// recordAfter records what was done, and warns where it cannot: it is done.
func (c *cli) recordAfter(ctx context.Context, cfg *config.Config, line incident.Audit) {
	// Also where somebody pressed Ctrl-C meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if _, err := c.recorded(ctx, cfg, line); err != nil {
		fmt.Fprintf(c.err, "this is done, but could not be recorded: %s\n", printable(err.Error()))
	}
}
