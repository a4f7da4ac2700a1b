// Package trial plays events through the router and the planner of a running
// bridge, over a book in memory and with a clock of its own. It does no I/O:
// each delivery counts as sent when it is due.
//
// What an event or a timer leads to is what the store would keep, as far as a
// plan reads it again: incidents, open members, recoveries, notices, digests,
// timers and what was sent. A trial remembers all of it, as rule tests want,
// unless it is told to forget what no event can ask for any more: then months of
// history pass through it in the memory that a day of them takes.
package trial

import (
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Mapper turns a stored event into its normalized form.
type Mapper interface {
	Normalize(st event.Stored) (event.Event, error)
}

// Router decides who may be told of an event.
type Router interface {
	Decide(ev event.Event) incident.Decision
}

// Proposer says which runs an event calls for, refused ones included.
type Proposer interface {
	Propose(ev event.Event, d incident.Decision) []incident.Run
}

// Planner is the incident machine.
type Planner interface {
	Effect(ev event.Event) event.Effect
	Query(ev event.Event, d incident.Decision) incident.Query
	Event(in incident.Input) incident.Plan
	TimerQuery(t incident.Timer) incident.Query
	Timer(t incident.Timer, v incident.View, now time.Time) incident.Plan
	Acknowledge(v incident.View, id string, m incident.Mark) (incident.Plan, error)
	Resolve(v incident.View, id string, m incident.Mark) (incident.Plan, error)
}

// Parts are what decides. Proposer may be nil.
type Parts struct {
	Mapper   Mapper
	Router   Router
	Planner  Planner
	Proposer Proposer
}

// Observer is told what happens, as it happens; what is nil is not.
type Observer struct {
	Decided func(ev event.Event, d incident.Decision)
	// Reconsidered is told of a retry that has lasted too long, and is decided
	// as if it were final.
	Reconsidered func(ev event.Event, d incident.Decision)
	Sent         func(d incident.Delivery)
	Ran          func(r incident.Run)
	Changed      func(inc incident.Incident)
	// Forgotten is told of incidents that will not be heard of again.
	Forgotten func(id string)
}

// maxFired bounds how many timers one Advance fires: one that sets itself anew
// at the same time would never end.
const maxFired = 1_000_000

// ErrEndless reports such a timer.
var ErrEndless = errors.New("timers do not come to an end")

// Bridge is one trial. It is not safe for concurrent use.
type Bridge struct {
	parts    Parts
	observer Observer
	now      time.Time
	book     book
	events   map[string]event.Stored // those whose retries a timer watches
}

// New starts a trial in which nothing has happened yet.
func New(p Parts, start time.Time, o Observer) *Bridge {
	return &Bridge{parts: p, observer: o, now: start, book: newBook(), events: map[string]event.Stored{}}
}

// Post lets an event arrive at its ReceivedAt, and returns what was decided.
func (b *Bridge) Post(st event.Stored) (incident.Decision, error) {
	if err := b.Advance(st.ReceivedAt); err != nil {
		return incident.Decision{}, err
	}
	ev, err := b.parts.Mapper.Normalize(st)
	if err != nil {
		return incident.Decision{}, fmt.Errorf("normalize %s: %w", st.ID, err)
	}
	return b.PostNormalized(st, ev)
}

// PostNormalized is Post for who has normalized the event already. Its fields
// are not changed.
func (b *Bridge) PostNormalized(st event.Stored, ev event.Event) (incident.Decision, error) {
	if err := b.Advance(st.ReceivedAt); err != nil {
		return incident.Decision{}, err
	}
	ev.Effect = b.parts.Planner.Effect(ev)
	p := b.plan(ev, nil)
	p.Event = st.ID
	b.watch(st, p)
	var d incident.Decision
	if p.Decision != nil {
		d = *p.Decision
		if b.observer.Decided != nil {
			b.observer.Decided(ev, d)
		}
	}
	b.apply(p)
	return d, b.Advance(b.now) // what is due at once
}

// watch keeps an event for the timers that will ask for it again.
func (b *Bridge) watch(st event.Stored, p incident.Plan) {
	for _, t := range p.Timers {
		if t.Kind == incident.RetryingTimer && !t.DueAt.IsZero() {
			b.events[t.Subject] = st
		}
	}
}

// plan makes the plan of one event; consumed is the timer that asks for it.
func (b *Bridge) plan(ev event.Event, consumed *incident.Timer) incident.Plan {
	d := b.parts.Router.Decide(ev)
	var runs []incident.Run
	if b.parts.Proposer != nil {
		runs = b.parts.Proposer.Propose(ev, d)
	}
	return b.parts.Planner.Event(incident.Input{
		Event: ev, Decision: d, View: b.book.load(b.parts.Planner.Query(ev, d)), Runs: runs, Now: b.now, Consumed: consumed,
	})
}

// Advance lets time pass: what falls due is carried out in order of time. A
// time that has passed already changes nothing but that.
func (b *Bridge) Advance(to time.Time) error {
	for range maxFired {
		timer, d := b.book.timers.next(to), b.book.queue.next(to)
		switch {
		case d != nil && (timer == nil || !timer.at.Before(d.at)):
			b.pass(d.at)
			b.send(d.what)
		case timer != nil:
			b.pass(timer.at)
			if err := b.fire(timer.what); err != nil {
				return err
			}
		default:
			b.pass(to)
			b.book.forget(b.now, b.forgotten)
			return nil
		}
	}
	return ErrEndless
}

func (b *Bridge) forgotten(id string) {
	if b.observer.Forgotten != nil {
		b.observer.Forgotten(id)
	}
}

func (b *Bridge) pass(to time.Time) {
	if to.After(b.now) {
		b.now = to
	}
}

// fire carries one timer out, which is gone then unless its plan sets it anew,
// whatever becomes of that. A retry that has lasted too long opens as if it
// were final (routing rule 10).
func (b *Bridge) fire(t incident.Timer) error {
	b.book.unset(t)
	var p incident.Plan
	if t.Kind == incident.RetryingTimer {
		ev, err := b.parts.Mapper.Normalize(b.events[t.Subject])
		if err != nil {
			return fmt.Errorf("normalize %s: %w", t.Subject, err)
		}
		delete(b.events, t.Subject)
		ev.Effect = event.Open
		p = b.plan(ev, &t)
		p.Event = ""
		if b.observer.Reconsidered != nil && p.Decision != nil {
			b.observer.Reconsidered(ev, *p.Decision)
		}
	} else {
		p = b.parts.Planner.Timer(t, b.book.load(b.parts.Planner.TimerQuery(t)), b.now)
	}
	b.apply(p)
	return nil
}

// send lets a delivery be accepted.
func (b *Bridge) send(d incident.Delivery) {
	d.State, d.SettledAt, d.Attempts, d.FirstTry = incident.Sent, b.now, 1, b.now
	b.book.sent(d)
	if b.observer.Sent != nil {
		b.observer.Sent(d)
	}
}

// Acknowledge and Resolve are what a person does to an incident.
func (b *Bridge) Acknowledge(id, by, why string) error {
	return b.deed(b.parts.Planner.Acknowledge, id, by, why)
}

// Resolve ends an incident by hand.
func (b *Bridge) Resolve(id, by, why string) error {
	return b.deed(b.parts.Planner.Resolve, id, by, why)
}

func (b *Bridge) deed(do func(incident.View, string, incident.Mark) (incident.Plan, error), id, by, why string) error {
	p, err := do(b.book.load(incident.Query{Incidents: []string{id}}), id, incident.Mark{By: by, Why: why, At: b.now})
	if err != nil {
		return err
	}
	b.apply(p)
	return b.Advance(b.now)
}

func (b *Bridge) apply(p incident.Plan) {
	b.book.apply(p, b.now)
	if b.observer.Changed != nil {
		for _, i := range p.Incidents {
			b.observer.Changed(b.book.incidents[i.ID].whole())
		}
	}
	for _, r := range b.book.ran(p.Runs) {
		if b.observer.Ran != nil {
			b.observer.Ran(r)
		}
	}
}
