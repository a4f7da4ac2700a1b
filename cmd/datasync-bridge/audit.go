package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

func (c *cli) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List and verify the record of deeds",
		Long: `List and verify the record of deeds: who did what to what, why, and what came of
it. Lines are only ever added, and each holds the hash of the one before.`,
		Example: `  datasync-bridge audit list --since 7d
  datasync-bridge audit verify`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.auditListCommand(), c.auditVerifyCommand())
	return cmd
}

func (c *cli) auditListCommand() *cobra.Command {
	var f incident.Filter
	var since, until string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was done, newest first",
		Long: `List what was done, newest first. -o json and -o csv export the whole record, or
what of it is asked for; an export is itself recorded.`,
		Example: `  datasync-bridge audit list --incident in_0000000000000
  datasync-bridge audit list --since 30d -o csv > audit.csv`,
		Args:        cobra.NoArgs,
		Annotations: withCSV,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			var err error
			if f.Since, err = moment("--since", since, now); err != nil {
				return err
			}
			if f.Until, err = moment("--until", until, now); err != nil {
				return err
			}
			if f.State != "" && !slices.Contains(view.AuditActions, f.State) {
				return usagef("--action: %q is none of %s", f.State, strings.Join(view.AuditActions, ", "))
			}
			if f.Limit < 0 || f.Limit > maxListing || c.output == "table" && f.Limit > maxTable {
				return usagef("--limit: must be 1 to %d in a table, to %d else (got %d)", maxTable, maxListing, f.Limit)
			}
			return c.auditList(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "only from this `time` on: 2026-11-30T22:00:00Z, or a duration back such as 7d")
	flags.StringVar(&until, "until", "", "only before this `time`")
	flags.StringVar(&f.Incident, "incident", "", "only of this incident, by `id`")
	flags.StringVar(&f.Run, "run", "", "only of this run, by `id`")
	flags.StringVar(&f.State, "action", "", "only this action, such as "+incident.AuditApproved)
	flags.IntVar(&f.Limit, "limit", 0, "at most so many (default 50 in a table, else all)")
	flags.StringVarP(&c.output, "output", "o", "table", "table, json or csv")
	return cmd
}

func (c *cli) auditList(ctx context.Context, f incident.Filter) error {
	left := f.Limit
	switch {
	case left > 0:
	case c.output == "table":
		left = 50
	default:
		left = maxListing
	}
	out, n := c.auditSink(), 0
	err := c.withReader(ctx, func(s *sqlite.Store) error {
		for left > 0 {
			f.Limit = min(left, maxRows)
			lines, err := s.Audit(ctx, f)
			if err != nil {
				return err
			}
			for _, a := range lines {
				if err := out.add(view.OfAudit(a)); err != nil {
					return err
				}
			}
			n += len(lines)
			if len(lines) < f.Limit {
				break
			}
			left -= len(lines)
			f.Before = strconv.FormatInt(lines[len(lines)-1].ID, 10)
		}
		return out.end()
	})
	if err != nil {
		return err
	}
	if c.output != "table" {
		c.exported(ctx, "audit", c.output+", "+count(n, "line"))
	}
	return nil
}

// exported records that data has left the bridge's keeping.
func (c *cli) exported(ctx context.Context, what, result string) {
	cfg, err := c.load()
	if err != nil {
		return // it was loaded a moment ago, or nothing would have been exported
	}
	c.recordAfter(ctx, cfg, incident.Audit{Action: incident.AuditExported, Subject: what, Result: result})
}

func (c *cli) auditSink() sink[incident.Audit] {
	switch c.output {
	case "json":
		return &jsonSink[incident.Audit]{w: c.out, of: func(a incident.Audit) any { return a }}
	case "csv":
		return newCSVSink(c.out, auditCells,
			"id", "at", "actor", "action", "subject", "why", "incident", "event", "run", "key", "request_id", "result", "prev", "hash")
	}
	return &tableSink[incident.Audit]{
		w: c.out, none: "nothing was recorded", columns: []string{"LINE", "AT", "WHO", "DID", "TO", "RESULT", "WHY"},
		row: func(a incident.Audit) []string {
			return []string{strconv.FormatInt(a.ID, 10), clock(a.At), a.Actor, a.Action, a.Subject, a.Result, a.Why}
		},
	}
}

func auditCells(a incident.Audit) []string {
	return []string{
		strconv.FormatInt(a.ID, 10), stamp(a.At), a.Actor, a.Action, a.Subject, a.Why, a.Incident, a.Event, a.Run, a.Key,
		a.RequestID, a.Result, a.Prev, a.Hash,
	}
}

// checked is what audit verify found.
type checked struct {
	Intact bool      `json:"intact"`
	Lines  int       `json:"lines"`
	First  time.Time `json:"first,omitzero"`
	Last   time.Time `json:"last,omitzero"`
	Head   string    `json:"head,omitempty"`
	Fault  string    `json:"fault,omitempty"`
}

func (c *cli) auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the record of deeds is as it was written",
		Long: `Check that the record of deeds is as it was written: that no line is missing or
changed. Exit code 1 if one is. Somebody who may write the store's file could
have written all of it anew; keep the head hash elsewhere, and compare.`,
		Example: "  datasync-bridge audit verify -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withReader(cmd.Context(), func(s *sqlite.Store) error { return c.auditVerify(cmd.Context(), s) })
		},
	}
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) auditVerify(ctx context.Context, s *sqlite.Store) error {
	found, err := s.VerifyAudit(ctx)
	broken := errors.Is(err, incident.ErrAudit)
	if err != nil && !broken {
		return err
	}
	v := checked{Intact: !broken, Lines: found.Count, First: found.First.UTC(), Last: found.Last.UTC(), Head: found.Head}
	if broken {
		v.Fault = err.Error()
	}
	if c.output == "json" {
		err = writeJSON(c.out, v)
	} else {
		err = c.printChecked(v)
	}
	if err == nil && broken {
		return errSilent
	}
	return err
}

func (c *cli) printChecked(v checked) error {
	first, lines := "intact: every line is as it was written", strconv.Itoa(v.Lines)
	if !v.Intact {
		first, lines = "BROKEN: "+v.Fault, lines+" up to there"
	}
	if _, err := fmt.Fprintln(c.out, printable(first)); err != nil {
		return err
	}
	return writeTable(c.out, nil, [][]string{
		{"lines", lines}, {"first", clock(v.First)}, {"last", clock(v.Last)}, {"head", v.Head},
	})
}
