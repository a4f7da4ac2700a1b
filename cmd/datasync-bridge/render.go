package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/terminal"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

// renderable are the kinds of message that an incident's snapshot can show.
var renderable = view.Words(incident.Opening, incident.Alarm, incident.Update, incident.Reopening, incident.Reminder, incident.Resolve, incident.ApprovalAsk)

func (c *cli) renderCommand() *cobra.Command {
	var kind, notifier, source string
	cmd := &cobra.Command{
		Use:   "render FILE | EVENT-ID | INCIDENT-ID",
		Short: "Show what a message looks like; nothing is sent",
		Long: `Show what a message looks like. Nothing is sent and no rule is bent: an incident
(in_…) is shown as it was told; a stored event (ev_…) or a file that holds one
event body is evaluated as explain does, but as if it had just happened and
nothing else were open.

With --notifier it is the very call that this notifier would make, secrets left
out: Slack's blocks, PagerDuty's event.`,
		Example: `  datasync-bridge render in_0000000000000
  datasync-bridge render in_0000000000000 --kind resolve --notifier edi-pager
  datasync-bridge render event.json --notifier edi-slack -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(renderable, kind) {
				return usagef("--kind: %q is none of %s", kind, strings.Join(renderable, ", "))
			}
			if c.output == "json" && notifier == "" {
				return usagef("-o json shows the call of one notifier; name it with --notifier")
			}
			return c.render(cmd.Context(), args[0], incident.DeliveryKind(kind), notifier, source)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", string(incident.Opening), "one of "+strings.Join(renderable, ", "))
	cmd.Flags().StringVar(&notifier, "notifier", "", "show the call that the notifier of this `name` would make")
	cmd.Flags().StringVar(&source, "source", "", "the `name` of the source that a file's event is taken to come from; default the first")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) render(ctx context.Context, what string, kind incident.DeliveryKind, notifier, source string) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	var to config.Notifier
	if notifier != "" {
		if to, err = notifierNamed(cfg, notifier); err != nil {
			return err
		}
	}
	d, err := c.deliveryOf(ctx, cfg, what, kind, notifier, source)
	if err != nil {
		return err
	}
	if notifier == "" {
		_, err := terminal.New(terminal.Config{}, style(cfg), c.out).Send(ctx, asKind(d, kind))
		return err
	}
	if d.Notifier != notifier {
		fmt.Fprintf(c.err, "%s is not told of this; shown is what it would get if it were\n", notifier)
		d.Notifier, d.Destination, d.Fingerprint, d.Thread = notifier, cfg.NotifierTraits()[notifier].Destination, "", ""
	}
	return c.showCall(ctx, to, style(cfg), asKind(d, kind))
}

// deliveryOf finds or makes the delivery to show.
func (c *cli) deliveryOf(ctx context.Context, cfg *config.Config, what string, kind incident.DeliveryKind, notifier, source string) (d incident.Delivery, err error) {
	switch {
	case strings.HasPrefix(what, "in_"):
		err = c.withReader(ctx, func(s *sqlite.Store) error {
			d, err = toldOf(ctx, s, what, kind, notifier)
			return err
		})
	case strings.HasPrefix(what, "ev_"):
		err = c.withReader(ctx, func(s *sqlite.Store) error {
			st, err := s.Event(ctx, what)
			if err != nil {
				return fmt.Errorf("event %s: %w", what, err)
			}
			d, err = openingOf(cfg, st, notifier)
			return err
		})
	default:
		var st event.Stored
		if st, err = fileEvent(cfg, what, source); err == nil {
			d, err = openingOf(cfg, st, notifier)
		}
	}
	return d, err
}

// toldOf finds the newest delivery of an incident that fits: of the kind and
// notifier asked for, else of the one or the other, else any.
func toldOf(ctx context.Context, s *sqlite.Store, id string, kind incident.DeliveryKind, notifier string) (incident.Delivery, error) {
	all, err := s.Deliveries(ctx, incident.Filter{Incident: id, Limit: maxRows})
	if err != nil {
		return incident.Delivery{}, err
	}
	if len(all) == 0 {
		return incident.Delivery{}, fmt.Errorf("incident %s has no notification to show: it does not exist, or nobody was told (see `explain %s`)", id, id)
	}
	found, fit, thread := all[0], -1, ""
	for _, d := range all {
		mine := d.Notifier == notifier
		if mine && thread == "" {
			thread = d.Ref
		}
		points := 0
		if mine {
			points += 2
		}
		if d.Kind == kind {
			points++
		}
		if points > fit {
			found, fit = d, points
		}
	}
	whole, err := s.Delivery(ctx, found.ID)
	whole.Thread = thread
	return whole, err
}

// openingOf makes the delivery by which a notifier would be told of an event,
// if nothing else were open; another notifier's where this one is not told.
func openingOf(cfg *config.Config, st event.Stored, notifier string) (incident.Delivery, error) {
	v, err := decideNow(cfg, st, func(p *parts, d *incident.Decision) {
		p.machine.StaleAfter = event.Never // a sample may be old
		d.Group.Wait = 0
	})
	switch {
	case err != nil:
		return incident.Delivery{}, err
	case v.quarantine != "":
		return incident.Delivery{}, fmt.Errorf("there is no message of it: the event would be quarantined: %s", v.quarantine)
	case len(v.plan.Deliveries) == 0:
		return incident.Delivery{}, fmt.Errorf("there is no message of it: %s", v.trace.Verdict())
	}
	found := v.plan.Deliveries[0]
	for _, d := range v.plan.Deliveries {
		if d.Notifier == notifier {
			found = d
		}
	}
	found.ID, found.QueuedAt = "dl_rendered_now", st.ReceivedAt
	return found, nil
}

// asKind shows a delivery as another kind of message about the same thing.
func asKind(d incident.Delivery, kind incident.DeliveryKind) incident.Delivery {
	if d.Kind == incident.Noticed {
		return d // it is about no incident
	}
	d.Kind = kind
	if s := &d.Snapshot; kind == incident.Resolve && s.State != incident.Resolved {
		s.State, s.Resolution, s.ResolvedAt, s.Open, s.Members = incident.Resolved, incident.Recovered, time.Now(), 0, nil
	}
	if kind != incident.Opening { // edits and replies need something to be about
		d.Thread = cmp.Or(d.Thread, cmp.Or(d.Destination, "channel")+"/first-message")
	}
	return d
}

func notifierNamed(cfg *config.Config, name string) (config.Notifier, error) {
	names := make([]string, 0, len(cfg.Notifiers))
	for _, n := range cfg.Notifiers {
		if n.Name == name {
			return n, nil
		}
		names = append(names, n.Name)
	}
	return config.Notifier{}, usagef("no notifier is named %q; there are %s", name, strings.Join(names, ", "))
}
