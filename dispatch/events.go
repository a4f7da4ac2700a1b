package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	// failuresToPark: a plan that failed so often is not tried again.
	failuresToPark = 3
	// heldAtMost bounds how far a batch reaches past rows that have a setback.
	heldAtMost = 1024
)

// planEvents plans what is pending, by state and never past a cursor, until
// ctx ends.
func (d *Dispatcher) planEvents(ctx context.Context, changed <-chan struct{}) {
	for ctx.Err() == nil {
		held, next := d.badEvents.waiting(d.store.Now())
		worked, err := d.planBatch(ctx, d.config.Batch+min(held, heldAtMost))
		if err != nil && ctx.Err() == nil {
			d.log.Error("pending events cannot be read", "err", err)
		}
		if !worked || err != nil {
			d.await(ctx, changed, next, d.config.Poll)
		}
	}
}

// planBatch plans up to limit pending events and reports whether there were
// any that are not held back.
func (d *Dispatcher) planBatch(ctx context.Context, limit int) (worked bool, err error) {
	d.planning <- struct{}{}
	defer func() { <-d.planning }()
	pending, err := d.store.Pending(ctx, limit)
	if err != nil {
		return false, err
	}
	now := d.store.Now()
	pending = slices.DeleteFunc(pending, func(st event.Stored) bool { return d.badEvents.held(st.ID, now) })

	rules := d.rules.Load() // after the events, so that none is planned by rules of before its source came
	for rest := pending; len(rest) > 0 && err == nil; {
		var now []event.Stored
		now, rest = portion(rest)
		err = d.planPortion(ctx, rules, now)
	}
	return len(pending) > 0, err
}

// portionBytes bounds the bodies, but for the last, that are decoded at one
// time: as Go values, JSON made for it takes more than twenty times its bytes.
const portionBytes = 1 << 20

// portion parts what is decoded and planned together from what comes after it.
func portion(pending []event.Stored) (now, rest []event.Stored) {
	bytes := 0
	for i, st := range pending {
		if bytes += len(st.Body); bytes >= portionBytes {
			return pending[:i+1], pending[i+1:]
		}
	}
	return pending, nil
}

// planPortion plans events side by side, as far as they do not touch the same.
func (d *Dispatcher) planPortion(ctx context.Context, rules *Rules, pending []event.Stored) error {
	tasks := make([]task, 0, len(pending))
	for _, st := range pending {
		var t task
		err := guarded(func() (err error) { t, err = d.prepare(rules, st); return err })
		if err != nil {
			d.eventFailed(ctx, rules, st, err)
			continue
		}
		tasks = append(tasks, t)
	}
	var running errgroup.Group
	running.SetLimit(d.config.Lanes)
	for _, lane := range lanes(tasks) {
		running.Go(func() error {
			for _, t := range lane {
				d.planEvent(ctx, rules, t)
			}
			return nil
		})
	}
	return running.Wait()
}

// prepare does what needs no store.
func (d *Dispatcher) prepare(rules *Rules, st event.Stored) (task, error) {
	ev, err := rules.Mapper.Normalize(st)
	if err != nil {
		return task{}, fmt.Errorf("normalize: %w", err)
	}
	ev.Effect = rules.Planner.Effect(ev)
	decision := rules.Router.Decide(ev)
	return task{stored: st, event: ev, decision: decision, query: rules.Planner.Query(ev, decision)}, nil
}

// planEvent plans one event and commits the plan, or counts its failure.
func (d *Dispatcher) planEvent(ctx context.Context, rules *Rules, t task) {
	if ctx.Err() != nil {
		return
	}
	began := d.store.Now()
	var plan incident.Plan
	err := d.untilFresh(ctx, func() error {
		view, err := d.store.Load(ctx, t.query)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		plan = rules.Planner.Event(incident.Input{
			Event: t.event, Decision: t.decision, View: view, Runs: rules.propose(t), Now: d.store.Now(),
		})
		plan.Event = t.stored.ID
		if err := d.store.Apply(ctx, plan); err != nil {
			return d.unlessPlanned(ctx, t.stored.ID, err)
		}
		return nil
	})
	if err != nil {
		d.eventFailed(ctx, rules, t.stored, err)
		return
	}
	d.badEvents.clear(t.stored.ID)
	d.eventPlanned(t.stored, plan, began)
}

func (r *Rules) propose(t task) []incident.Run {
	if r.Proposer == nil {
		return nil
	}
	return r.Proposer.Propose(t.event, t.decision)
}

// unlessPlanned forgives a conflict whose reason is that the plan is committed
// already: a commit whose answer was lost looks like that when it is repeated.
func (d *Dispatcher) unlessPlanned(ctx context.Context, id string, err error) error {
	if !errors.Is(err, incident.ErrConflict) {
		return fmt.Errorf("apply: %w", err)
	}
	if st, readErr := d.store.Event(ctx, id); readErr == nil && st.State != event.Pending {
		return nil
	}
	return err
}

// eventFailed counts a failure durably and holds the event back for a while;
// the third failure parks it. A store that cannot work, and a shutdown, are
// not the event's fault.
func (d *Dispatcher) eventFailed(ctx context.Context, rules *Rules, st event.Stored, cause error) {
	if ctx.Err() != nil {
		return
	}
	d.observe.PlanFailed()
	d.badEvents.add(st.ID, d.store.Now())
	var failures int
	err := d.patiently(ctx, func() (err error) {
		failures, err = d.store.Failed(ctx, st.ID, bounded(cause.Error()))
		return err
	})
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.log.Error("a failed plan cannot be counted", "event", st.ID, "err", err, "cause", cause)
		return
	}
	d.log.Error("event cannot be planned", "event", st.ID, "source", st.Source, "type", st.Type,
		"failures", failures, "err", cause, "stack", stackOf(cause))
	if failures >= failuresToPark {
		st.Failures = failures
		d.park(ctx, rules, st, cause)
	}
}

// park sets an event aside for a person and tells them. Where even that fails,
// the event stays pending with its setback, and holds up nothing.
func (d *Dispatcher) park(ctx context.Context, rules *Rules, st event.Stored, cause error) {
	began := d.store.Now()
	var plan incident.Plan
	err := d.untilFresh(ctx, func() error {
		view, err := d.store.Load(ctx, rules.Planner.ParkQuery(st))
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		plan = rules.Planner.Park(st, bounded(cause.Error()), view, d.store.Now())
		plan.Event = st.ID
		if err := d.store.Apply(ctx, plan); err != nil {
			return d.unlessPlanned(ctx, st.ID, err)
		}
		return nil
	})
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.log.Error("event cannot be parked", "event", st.ID, "err", err, "stack", stackOf(err))
		return
	}
	d.badEvents.clear(st.ID)
	d.eventPlanned(st, plan, began)
}

func (d *Dispatcher) eventPlanned(st event.Stored, plan incident.Plan, began time.Time) {
	if plan.Decision == nil {
		return
	}
	if failed := len(plan.Decision.Errors); failed > 0 {
		d.observe.ConditionsFailed(failed)
	}
	outcome := plan.Decision.Outcome
	done := Planned{Event: st, Outcome: outcome, Incident: plan.Decision.Incident, Began: began, At: d.store.Now()}
	for _, run := range plan.Runs {
		if run.Event == st.ID {
			done.Runs = append(done.Runs, run)
		}
	}
	d.observe.Planned(done)
	say := d.log.Debug
	switch outcome {
	case incident.Opened, incident.Reopened, incident.Settled:
		say = d.log.Info
	case incident.ParkedAway:
		say = d.log.Error
	}
	say("event planned", "event", st.ID, "source", st.Source, "outcome", outcome, "incident", plan.Decision.Incident)
}

// bounded keeps a stored cause to a readable length.
func bounded(text string) string {
	const most = 500
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
