package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/outbound"
	"datasync-bridge/routing/incident"
)

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
			n, err := notifierNamed(cfg, args[0])
			if err != nil {
				return err
			}
			return c.sendTest(cmd.Context(), cfg, n)
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
	thread, now := "", time.Now() // one moment: it names the incident that is ended
	for _, kind := range kinds {
		d := testDelivery(n.Name, kind, now)
		d.Thread = thread
		receipt, err := to.Send(ctx, d)
		if err != nil && kind == incident.Resolve {
			return fmt.Errorf("%s took the test alert but not its end, so it is open there: resolve it by hand: %w", n.Name, err)
		}
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
