package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/terminal"
	"datasync-bridge/outbound"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

func (c *cli) renderCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "render INCIDENT-ID",
		Short: "Show what an incident's message looks like; nothing is sent",
		Example: `  datasync-bridge render in_0000000000000
  datasync-bridge render in_0000000000000 --kind resolve`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			return c.withReader(cmd.Context(), func(s *sqlite.Store) error {
				d, err := deliveryOf(cmd.Context(), s, args[0], incident.DeliveryKind(kind))
				if err != nil {
					return err
				}
				_, err = terminal.New(terminal.Config{Pager: true}, style(cfg), c.out).Send(cmd.Context(), d)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&kind, "kind", string(incident.Opening), "opening, alarm, update, reopened, reminder or resolve")
	return cmd
}

// deliveryOf finds the newest delivery of a kind that an incident has, for its
// snapshot; any kind's will do.
func deliveryOf(ctx context.Context, s *sqlite.Store, id string, kind incident.DeliveryKind) (incident.Delivery, error) {
	all, err := s.Deliveries(ctx, incident.Filter{Incident: id, Limit: 1000})
	if err != nil {
		return incident.Delivery{}, err
	}
	if len(all) == 0 {
		return incident.Delivery{}, fmt.Errorf("incident %s has no notification to show: it does not exist, or nobody was told (see `explain %s`)", id, id)
	}
	found := all[0]
	for _, d := range all {
		if d.Kind == kind {
			found = d
			break
		}
	}
	whole, err := s.Delivery(ctx, found.ID)
	whole.Kind = kind
	return whole, err
}

func (c *cli) sendTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "send-test NOTIFIER",
		Short: "Send one test message through a notifier",
		Long: `Send one test message through a notifier, and for a pager the resolve that ends
it at once. It says that it is a test. The store is not touched.`,
		Example: "  datasync-bridge send-test edi-slack -c config.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			for _, n := range cfg.Notifiers {
				if n.Name == args[0] {
					return c.sendTest(cmd.Context(), cfg, n)
				}
			}
			return usagef("no notifier is named %q", args[0])
		},
	}
}

func (c *cli) sendTest(ctx context.Context, cfg *config.Config, n config.Notifier) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	to := medium(n, style(cfg), outbound.New(cfg.Outbound), c.out)
	kinds := []incident.DeliveryKind{incident.Opening}
	if cfg.NotifierTraits()[n.Name].Pager {
		kinds = append(kinds, incident.Resolve)
	}
	thread := ""
	for _, kind := range kinds {
		d := testDelivery(n.Name, kind, time.Now())
		d.Thread = thread
		receipt, err := to.Send(ctx, d)
		if err != nil {
			return fmt.Errorf("%s did not take the %s: %w", n.Name, kind, err)
		}
		thread = receipt.Ref
		fmt.Fprintf(c.out, "%s took the %s: %s\n", n.Name, kind, receipt.Answer)
	}
	return nil
}

// testDelivery is a made-up incident that says of itself that it is a test.
func testDelivery(notifier string, kind incident.DeliveryKind, now time.Time) incident.Delivery {
	id := fmt.Sprintf("in_test_%d", now.Unix())
	snapshot := incident.Snapshot{
		Incident: id, Environment: event.Production, Source: "send-test",
		Class: event.UnknownClass, Severity: event.Info, State: incident.Open, OpenedAt: now, Open: 1, Total: 1,
		Lead: incident.Lead{
			Event: "ev_test", Type: "webhook.test", Severity: event.Info, OccurredAt: now,
			Fields: map[string]any{event.PartnerName: "TEST of datasync-bridge", event.ErrorMessage: "This is a test message; nothing is wrong."},
		},
		Notes: []string{"sent by hand with send-test"},
	}
	if kind == incident.Resolve {
		snapshot.State, snapshot.ResolvedAt, snapshot.Resolution, snapshot.Open = incident.Resolved, now, incident.Recovered, 0
	}
	return incident.Delivery{
		ID: "dl_test", Order: id, Incident: id, Notifier: notifier, Kind: kind, Alarm: 1,
		Snapshot: snapshot, QueuedAt: now, State: incident.Sending,
	}
}
