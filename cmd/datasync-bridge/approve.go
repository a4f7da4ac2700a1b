package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

// approving is one command line of runs approve.
type approving struct {
	ids                        []string
	incident, remediation, why string
	yes                        bool
}

func (c *cli) approveCommand() *cobra.Command {
	var o approving
	cmd := &cobra.Command{
		Use:   "approve ID…",
		Short: "Consent to runs that wait for approval, once each",
		Long: `Consent to runs that wait for approval, once each. A consent holds for what was
read of the transaction when it was asked for: where anything has changed since,
nothing is run. With --incident those that wait in an incident are listed, you
are asked, and exactly the listed ones are approved. Runs for money documents are
approved one by one.`,
		Example: `  datasync-bridge runs list --state awaiting
  datasync-bridge runs approve rn_0000000000000 --why "partner confirmed that nothing arrived"
  datasync-bridge runs approve --incident in_0000000000000 --remediation resend-status`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ids = args
			switch {
			case (len(args) > 0) == (o.incident != ""):
				return usagef("approve needs either the ids of runs or --incident")
			case o.remediation != "" && o.incident == "":
				return usagef("--remediation belongs to --incident")
			}
			return c.approve(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.incident, "incident", "", "the runs that wait in this incident, by `id`")
	cmd.Flags().StringVar(&o.remediation, "remediation", "", "of those, only the runs of this remediation")
	cmd.Flags().StringVar(&o.why, "why", "", "what to record beside your name")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask about what --incident has listed")
	return cmd
}

func (c *cli) approve(ctx context.Context, o approving) error {
	if o.incident != "" {
		waiting, err := c.awaiting(ctx, o)
		if err != nil {
			return err
		}
		for _, r := range waiting {
			o.ids = append(o.ids, r.ID)
		}
		if err := c.confirm("Approve "+count(len(o.ids), "run")+"?", o.yes); err != nil {
			return err
		}
	}
	if err := c.withDeeds(ctx, func(d deeds) error { return d.ApproveRuns(ctx, o.ids, o.why) }); err != nil {
		return named(err, strings.Join(o.ids, ", "))
	}
	return c.withReader(ctx, func(s *sqlite.Store) error {
		for _, id := range o.ids {
			r, err := s.Run(ctx, id)
			if err != nil {
				return err
			}
			more := ""
			if missing := r.Approval.Needed - len(r.Approval.Given); r.State == incident.RunAwaiting && missing > 0 {
				more = fmt.Sprintf("; %d more must approve it by %s", missing, clock(r.Approval.Expires))
			}
			fmt.Fprintf(c.out, "%s approved%s\n", id, more)
		}
		return nil
	})
}

// awaiting lists the runs that wait in an incident, for the person to see
// before anything is approved.
func (c *cli) awaiting(ctx context.Context, o approving) (waiting []incident.Run, err error) {
	err = c.withReader(ctx, func(s *sqlite.Store) error {
		waiting, err = s.Runs(ctx, incident.Filter{Incident: o.incident, State: string(incident.RunAwaiting), Limit: maxRows})
		return err
	})
	if err != nil {
		return nil, err
	}
	waiting = slices.DeleteFunc(waiting, func(r incident.Run) bool {
		return o.remediation != "" && r.Remediation != o.remediation
	})
	if len(waiting) == 0 {
		return nil, fmt.Errorf("%s: no run waits for approval", o.incident)
	}
	rows := [][]string{{"ID", "TRANSACTION", "DOCUMENT", "AMOUNT", "PARTNER", "WORKFLOW", "REMEDIATION", "APPROVED", "EXPIRES"}}
	for _, r := range waiting {
		rows = append(rows, []string{
			r.ID, r.Transaction, r.Facts.Document, strings.TrimSpace(r.Facts.Amount + " " + r.Facts.Currency), r.Facts.Partner,
			r.Workflow, r.Remediation, consent(r.Approval), clock(r.Approval.Expires),
		})
	}
	return waiting, layOut(c.out, rows, 0) // in full: a person decides by it
}

func consent(a incident.Approval) string { return fmt.Sprintf("%d of %d", len(a.Given), a.Needed) }

func (c *cli) denyCommand() *cobra.Command {
	return c.runDeed("deny", "denied", "Refuse a run that waits for approval", "the partner has the document already",
		"it is read by whoever proposed it", deeds.DenyRun)
}

// runDeed is a command that does one thing to one run, for a reason.
func (c *cli) runDeed(verb, done, short, example, because string, do func(d deeds, ctx context.Context, id, why string) error) *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: verb + " ID --why TEXT", Short: short, Args: cobra.ExactArgs(1),
		Example: fmt.Sprintf("  datasync-bridge runs %s rn_0000000000000 --why %q", verb, example),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return usagef("%s needs --why: %s", verb, because)
			}
			return c.deed(cmd, args[0], done, func(d deeds) error { return do(d, cmd.Context(), args[0], why) })
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "what to record beside your name")
	return cmd
}

func (c *cli) clearCommand() *cobra.Command {
	var outcome string
	cmd := c.runDeed("clear", "cleared", "Settle a run whose outcome is unknown, once you have looked", "it stands in the partner's portal",
		"the next reader wants to know how you knew",
		func(d deeds, ctx context.Context, id, why string) error {
			return d.ClearRun(ctx, id, incident.RunState(outcome), why)
		})
	cmd.Use = "clear ID --outcome done|failed --why TEXT"
	cmd.Example = `  datasync-bridge runs clear rn_0000000000000 --outcome done --why "it stands in the partner's portal"`
	cmd.Flags().StringVar(&outcome, "outcome", "", "what you found: done or failed")
	settle := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if outcome != string(incident.RunDone) && outcome != string(incident.RunFailed) {
			return usagef("clear needs --outcome done or --outcome failed (got %q)", outcome)
		}
		return settle(cmd, args)
	}
	return cmd
}

// scope is whose runs a person means.
type scope struct {
	remediation string
	all         bool
}

func (s *scope) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.remediation, "remediation", "", "all runs of this remediation")
	cmd.Flags().BoolVar(&s.all, "all", false, "all runs")
}

// one reports what is wrong with how the scope was said: exactly one way will do.
func (s *scope) one(verb string, ids int) error {
	said := ids
	if s.remediation != "" {
		said++
	}
	if s.all {
		said++
	}
	if said != 1 {
		return usagef("say what to %s: exactly one of an id (where it takes one), --remediation NAME and --all", verb)
	}
	return nil
}

func (s *scope) words() string {
	if s.all {
		return "all runs"
	}
	return "runs of " + s.remediation
}

func (c *cli) stopCommand() *cobra.Command {
	var why string
	var whose scope
	cmd := &cobra.Command{
		Use:   "stop [ID] --why TEXT",
		Short: "Stop a run before its call, or let no run start until you resume them",
		Long: `Stop a run before its call, or, with --remediation or --all, let no run start
until you resume them. The bridge looks before each call, so it holds at once; a
call that has left is not taken back.`,
		Example: `  datasync-bridge runs stop rn_0000000000000 --why "partner is sending it anew"
  datasync-bridge runs stop --all --why "we do not understand what is going on"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := whose.one("stop", len(args)); err != nil {
				return err
			}
			if why == "" {
				return usagef("stop needs --why: whoever resumes it must know")
			}
			if len(args) == 1 {
				return c.deed(cmd, args[0], "stopped", func(d deeds) error { return d.StopRun(cmd.Context(), args[0], why) })
			}
			if err := c.knownRemediation(whose.remediation); err != nil {
				return err
			}
			return c.deed(cmd, whose.words(), "stopped", func(d deeds) error { return d.StopRuns(cmd.Context(), whose.remediation, why) })
		},
	}
	whose.flags(cmd)
	cmd.Flags().StringVar(&why, "why", "", "what to record beside your name")
	return cmd
}

func (c *cli) resumeCommand() *cobra.Command {
	var why string
	var whose scope
	cmd := &cobra.Command{
		Use:   "resume --why TEXT",
		Short: "Take a stop of the same scope back",
		Example: `  datasync-bridge runs resume --all --why "understood: the partner's certificate was renewed"
  datasync-bridge runs resume --remediation resend-status --why "tested"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := whose.one("resume", 0); err != nil {
				return err
			}
			if why == "" {
				return usagef("resume needs --why: the next reader wants to know what changed")
			}
			return c.deed(cmd, whose.words(), "resumed", func(d deeds) error { return d.ResumeRuns(cmd.Context(), whose.remediation, why) })
		},
	}
	whose.flags(cmd)
	cmd.Flags().StringVar(&why, "why", "", "what to record beside your name")
	return cmd
}

// knownRemediation refuses a name that the configuration does not have: whoever
// mistypes it would believe that runs are stopped.
func (c *cli) knownRemediation(name string) error {
	if name == "" {
		return nil
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	names := make([]string, len(cfg.Remediations))
	for i, r := range cfg.Remediations {
		names[i] = r.Name
	}
	if !slices.Contains(names, name) {
		return usagef("--remediation: %s has no remediation named %q; it has %s", c.configPath, name, strings.Join(names, ", "))
	}
	return nil
}

// printRun prints a run, with what the event told and the consent it needs.
func printRun(w io.Writer, found any) error {
	v := found.(view.Run)
	facts, approval := v.Facts, v.Approval
	v.Facts, v.Approval = nil, nil
	if err := printFields(w, v); err != nil {
		return err
	}
	var rows [][]string
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	if f := facts; f != nil {
		add("partner", f.Partner)
		add("document type", f.Document)
		add("direction", f.Direction)
		add("amount", strings.TrimSpace(f.Amount+" "+f.Currency))
		add("occurred", clock(f.OccurredAt))
	}
	if err := section(w, "facts of the event", rows); err != nil {
		return err
	}
	rows = nil
	if a := approval; a != nil {
		add("given", fmt.Sprintf("%d of %d", len(a.Given), a.Needed))
		for _, m := range a.Given {
			add("", strings.TrimSpace(fmt.Sprintf("%s by %s %s", clock(m.At), m.By, m.Why)))
		}
		add("may be given by", strings.Join(a.By, ", "))
		add("asked", clock(a.AskedAt))
		add("expires", clock(a.Expires))
		add("bound to", a.Bound)
	}
	return section(w, "approval", rows)
}
