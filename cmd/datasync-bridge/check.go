package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
)

func (c *cli) checkCommand() *cobra.Command {
	var strict bool
	var since, file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration: every fault at once, with its position",
		Long: `Check the configuration without starting anything. Every fault is printed as
FILE:LINE:COL: KEY: what is wrong and what to do. Exit code 1 if there is one;
warnings alone leave it 0.

--strict looks for more that is dubious, and exits 1 on any warning: what is never
named or has passed, rules that split one class of failure over several incident
keys, a page that a window holds back, and, where there is a store, rules that
matched nothing of the time --since.

--store reads a store or a backup instead, from end to end: damaged pages, bodies that
are not what was kept, rows that no commit leaves behind, and the record of deeds. It needs no configuration, changes
nothing, and may run beside serve.`,
		Example: `  datasync-bridge check -c config.yaml
  datasync-bridge check --store /backups/bridge-2026-11-26.db
  datasync-bridge check --strict --since 90d -c config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				return c.checkStore(cmd.Context(), file)
			}
			age, err := event.ParseDuration(since)
			if err != nil {
				return usagef("--since: %v", err)
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			warnings := cfg.Warnings
			if strict {
				if warnings, err = c.strictly(cmd.Context(), cfg, age); err != nil {
					return err
				}
			}
			return c.checked(cfg, warnings, strict)
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "look for more that is dubious, and exit 1 on any warning")
	cmd.Flags().StringVar(&since, "since", "30d", "with --strict, the `duration` of history that rules are compared with")
	cmd.Flags().StringVar(&file, "store", "", "read this `file` instead: a store, or a backup")
	return cmd
}

// checkStore reads a store from end to end and says what is wrong with it.
func (c *cli) checkStore(ctx context.Context, file string) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	cfg := store.Config{SQLite: store.SQLite{Path: file}}
	s, err := sqlite.OpenReadOnly(ctx, cfg.WithDefaults(), sqlite.Options{Log: log})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // only read
	v, err := s.Verify(ctx)
	if err != nil {
		return err
	}
	if len(v.Faults) == 0 {
		_, err := s.VerifyAudit(ctx)
		if err != nil && !errors.Is(err, incident.ErrAudit) {
			return err
		}
		if err != nil {
			v.Faults = append(v.Faults, err.Error())
		}
	}
	for _, fault := range v.Faults {
		fmt.Fprintf(c.out, "%s: %s\n", file, fault)
	}
	if len(v.Faults) > 0 {
		fmt.Fprintln(c.err, "keep this file as it is, and restore the last backup that passes: see docs/operating.md")
		return errSilent
	}
	_, err = fmt.Fprintf(c.out, "%s is sound: %s (%d not planned yet), %s, %s\n", file,
		count(v.Events, "event"), v.Pending, count(v.Incidents, "incident"), count(v.Deliveries, "notification"))
	return err
}

func (c *cli) checked(cfg *config.Config, warnings config.Faults, strict bool) error {
	for _, warning := range warnings {
		fmt.Fprintln(c.out, warning.String())
	}
	_, err := fmt.Fprintf(c.out, "%s is valid: %s, %s, %s (configuration %s)\n", c.configPath,
		count(len(cfg.Sources), "source"), count(len(cfg.Rules), "rule"), count(len(cfg.Notifiers), "notifier"), cfg.ShortHash())
	if err == nil && strict && len(warnings) > 0 {
		fmt.Fprintf(c.err, "%s, which --strict takes for a failure\n", count(len(warnings), "warning"))
		return errSilent
	}
	return err
}

// strictly gathers the warnings of the load, what is dubious besides, and what
// history knows of the rules where there is a store to ask.
func (c *cli) strictly(ctx context.Context, cfg *config.Config, age time.Duration) (config.Faults, error) {
	now := time.Now()
	found, err := dubious(cfg, now)
	if err != nil {
		return nil, err
	}
	if !hasStore(cfg) {
		fmt.Fprintf(c.err, "there is no store at %s, so the rules are not compared with history\n", cfg.Store.SQLite.Path)
		return merged(cfg, found), nil
	}
	err = c.withReader(ctx, func(s *sqlite.Store) error {
		matched, events, err := s.RulesMatched(ctx, now.Add(-age))
		if err != nil {
			return err
		}
		if events == 0 {
			fmt.Fprintf(c.err, "no event was decided in the last %s, so the rules are not compared with history\n", spoken(age))
		}
		found = append(found, unmatched(cfg, matched, events, age)...)
		return nil
	})
	return merged(cfg, found), err
}
