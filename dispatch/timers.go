package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	timersAtOnce = 16
	timerBatch   = 128
	// postponed is how long a timer waits whose plan has failed three times.
	postponed = 10 * time.Minute
)

// fireTimers carries out what is due, until ctx ends.
func (d *Dispatcher) fireTimers(ctx context.Context, changed <-chan struct{}) {
	for ctx.Err() == nil {
		held, free := d.badTimers.waiting(d.store.Now())
		worked, next, err := d.fireBatch(ctx, timerBatch+min(held, heldAtMost))
		if err != nil && ctx.Err() == nil {
			d.log.Error("due timers cannot be read", "err", err)
		}
		if !worked || err != nil {
			d.await(ctx, changed, earlier(next, free), d.config.Poll)
		}
	}
}

// fireBatch fires up to limit timers that are not held back, and reports
// whether there were any and when the next is due.
func (d *Dispatcher) fireBatch(ctx context.Context, limit int) (worked bool, next time.Time, err error) {
	d.planning <- struct{}{}
	defer func() { <-d.planning }()
	due, next, err := d.store.DueTimers(ctx, limit)
	if err != nil {
		return false, time.Time{}, err
	}
	var running errgroup.Group
	running.SetLimit(timersAtOnce)
	now, rules := d.store.Now(), d.rules.Load()
	for _, t := range due {
		if d.badTimers.held(timerKey(t), now) {
			continue
		}
		worked = true
		running.Go(func() error {
			d.fireTimer(ctx, rules, t)
			return nil
		})
	}
	return worked, next, running.Wait()
}

func timerKey(t incident.Timer) string { return string(t.Kind) + "\x00" + t.Subject }

// fireTimer carries one timer out. Where a conflict lasts, the timer itself has
// probably moved or gone: it is left alone for a moment and read again as due.
func (d *Dispatcher) fireTimer(ctx context.Context, rules *Rules, t incident.Timer) {
	err := d.untilFresh(ctx, func() error { return d.applyTimer(ctx, rules, t) })
	switch {
	case ctx.Err() != nil:
	case err == nil:
		d.badTimers.clear(timerKey(t))
	case errors.Is(err, incident.ErrConflict):
		d.badTimers.add(timerKey(t), d.store.Now())
	default:
		d.timerFailed(ctx, t, err)
	}
}

func (d *Dispatcher) applyTimer(ctx context.Context, rules *Rules, t incident.Timer) error {
	if t.Kind == incident.RetryingTimer {
		return d.applyRetrying(ctx, rules, t)
	}
	view, err := d.store.Load(ctx, rules.Planner.TimerQuery(t))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	plan := rules.Planner.Timer(t, view, d.store.Now())
	plan.Consumed = &t
	if err := d.store.Apply(ctx, plan); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

// applyRetrying lets a retry that has lasted too long open an incident as if
// it were final (routing rule 10).
func (d *Dispatcher) applyRetrying(ctx context.Context, rules *Rules, t incident.Timer) error {
	st, err := d.store.Event(ctx, t.Subject)
	if errors.Is(err, event.ErrNotFound) {
		return d.store.Apply(ctx, incident.Plan{Consumed: &t, Timers: []incident.Timer{{Kind: t.Kind, Subject: t.Subject}}})
	}
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	ev, err := rules.Mapper.Normalize(st)
	if err != nil {
		return fmt.Errorf("normalize: %w", err)
	}
	ev.Effect = event.Open
	work := task{stored: st, event: ev, decision: rules.Router.Decide(ev)}
	view, err := d.store.Load(ctx, rules.Planner.Query(ev, work.decision))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	plan := rules.Planner.Event(incident.Input{
		Event: ev, Decision: work.decision, View: view, Runs: rules.propose(work), Now: d.store.Now(), Consumed: &t,
	})
	plan.Event, plan.Consumed = "", &t
	if err := d.store.Apply(ctx, plan); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

// timerFailed holds a timer back; after three failures it is moved to later in
// its row, so that it does not stand before the others.
func (d *Dispatcher) timerFailed(ctx context.Context, t incident.Timer, cause error) {
	now := d.store.Now()
	tries := d.badTimers.add(timerKey(t), now)
	d.observe.PlanFailed()
	d.log.Error("timer cannot be carried out", "timer", t.Kind, "subject", t.Subject,
		"attempt", tries, "err", cause, "stack", stackOf(cause))
	if tries < failuresToPark {
		return
	}
	later := t
	later.DueAt = now.Add(postponed)
	err := d.store.Apply(ctx, incident.Plan{Consumed: &t, Timers: []incident.Timer{later}})
	if err != nil && ctx.Err() == nil {
		d.log.Error("timer cannot be postponed", "timer", t.Kind, "subject", t.Subject, "err", err)
		return
	}
	d.badTimers.clear(timerKey(t))
}
