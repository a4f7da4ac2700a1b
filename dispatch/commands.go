package dispatch

import (
	"context"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Acknowledge records that by has taken an incident on, and tells those who
// were told of it.
func (d *Dispatcher) Acknowledge(ctx context.Context, id, by, why string) error {
	return d.command(ctx, "acknowledge", id, func(p Planner, v incident.View) (incident.Plan, error) {
		return p.Acknowledge(v, id, d.mark(by, why))
	})
}

// Resolve ends an incident by hand.
func (d *Dispatcher) Resolve(ctx context.Context, id, by, why string) error {
	return d.command(ctx, "resolve", id, func(p Planner, v incident.View) (incident.Plan, error) {
		return p.Resolve(v, id, d.mark(by, why))
	})
}

// Recheck looks anew at what holds messages about incidents back, by the rules
// that are in force: a silence was ended, or hours are others after a reload.
func (d *Dispatcher) Recheck(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		err := d.untilFresh(ctx, func() error {
			view, err := d.store.Load(ctx, incident.Query{Incidents: []string{id}})
			if err != nil {
				return err
			}
			p := d.rules.Load().Planner.Recheck(view, id, d.store.Now())
			if len(p.Incidents) == 0 {
				return nil
			}
			return d.store.Apply(ctx, p)
		})
		if err != nil {
			return fmt.Errorf("look anew at what holds incident %s: %w", id, err)
		}
	}
	return nil
}

func (d *Dispatcher) command(ctx context.Context, verb, id string, plan func(Planner, incident.View) (incident.Plan, error)) error {
	planner := d.rules.Load().Planner
	err := d.untilFresh(ctx, func() error {
		view, err := d.store.Load(ctx, incident.Query{Incidents: []string{id}})
		if err != nil {
			return err
		}
		if len(view.Incidents) == 0 {
			return event.ErrNotFound
		}
		p, err := plan(planner, view)
		if err != nil {
			return err
		}
		return d.store.Apply(ctx, p)
	})
	if err != nil {
		return fmt.Errorf("%s incident %s: %w", verb, id, err)
	}
	d.log.Info("incident changed by command", "incident", id, "command", verb)
	return nil
}

// RetryDelivery sends a dead delivery once more, from now. An alarm of an
// incident that is over is refused: it would page for nothing.
func (d *Dispatcher) RetryDelivery(ctx context.Context, id, by string) error {
	dead, err := d.store.Delivery(ctx, id)
	if err != nil {
		return fmt.Errorf("retry delivery %s: %w", id, err)
	}
	if err := d.mayRetry(ctx, dead); err != nil {
		return fmt.Errorf("retry delivery %s: %w", id, err)
	}
	// Recorded first: what is written down and then fails can be seen, what is
	// done and not written down cannot.
	record := retried(dead, by, d.store.Now())
	if err := d.patiently(ctx, func() error { return d.store.Apply(ctx, record) }); err != nil {
		return fmt.Errorf("record the retry of delivery %s: %w", id, err)
	}
	if err := d.patiently(ctx, func() error { return d.store.RetryDelivery(ctx, id) }); err != nil {
		return fmt.Errorf("retry delivery %s: %w", id, err)
	}
	d.log.Info("delivery is retried by command", "delivery", id, "notifier", dead.Notifier, "incident", dead.Incident)
	return nil
}

// retried is the record of a retry by hand.
func retried(dead incident.Delivery, by string, now time.Time) incident.Plan {
	p := incident.Plan{Audit: []incident.Audit{{
		Actor: by, Action: incident.AuditRetried, Subject: dead.ID, Incident: dead.Incident,
		Result: fmt.Sprintf("%s to %s", dead.Kind, dead.Notifier),
	}}}
	if dead.Incident != "" {
		p.Timeline = []incident.Entry{{
			Incident: dead.Incident, Delivery: dead.ID, At: now, Kind: "retry", By: by,
			Text: fmt.Sprintf("%s: %s is retried by hand", dead.Notifier, dead.Kind),
		}}
	}
	return p
}

func (d *Dispatcher) mayRetry(ctx context.Context, dead incident.Delivery) error {
	if dead.State != incident.Dead {
		return fmt.Errorf("it is %s; only a dead delivery can be retried", dead.State)
	}
	if !dead.Kind.Alarms() || dead.Incident == "" {
		return nil
	}
	view, err := d.store.Load(ctx, incident.Query{Incidents: []string{dead.Incident}})
	if err != nil {
		return err
	}
	for _, inc := range view.Incidents {
		if inc.ID == dead.Incident && inc.State == incident.Resolved {
			return fmt.Errorf("incident %s has been over since %s (%s), so this alarm would ring for nothing; "+
				"read it with `incidents show %s` and tell people yourself if they must know",
				inc.ID, inc.ResolvedAt.UTC().Format(time.RFC3339), inc.Resolution, inc.ID)
		}
	}
	return nil
}
