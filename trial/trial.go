// Package trial plays events through the router and the planner of a running
// bridge, over a book in memory and with a clock of its own. It does no I/O:
// each delivery counts as sent when it is due.
//
// What an event or a timer leads to is what the store would keep, as far as a
// plan reads it again: incidents, open members, recoveries, notices, digests,
// timers and what was sent. It never forgets, so it is for stories, not for
// months of history.
package trial

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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
	Sent    func(d incident.Delivery)
	Ran     func(r incident.Run)
	Changed func(inc incident.Incident)
}

// maxFired bounds how many timers one Advance fires: one that sets itself anew
// at the same time would never end.
const maxFired = 1_000_000

// errEndless reports such a timer.
var errEndless = errors.New("timers do not come to an end")

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
	return &Bridge{parts: p, observer: o, now: start, book: book{notices: map[string]incident.Notice{}}, events: map[string]event.Stored{}}
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
	ev.Effect = b.parts.Planner.Effect(ev)
	p := b.plan(ev, nil)
	p.Event = st.ID
	b.events[st.ID] = st
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
		timer, timed := b.book.nextTimer(to)
		d, queued := b.book.nextDelivery(to)
		switch {
		case queued && (!timed || !timer.DueAt.Before(d.NextAt)):
			b.pass(d.NextAt)
			b.send(d)
		case timed:
			b.pass(timer.DueAt)
			if err := b.fire(timer); err != nil {
				return err
			}
		default:
			b.pass(to)
			return nil
		}
	}
	return errEndless
}

func (b *Bridge) pass(to time.Time) {
	if to.After(b.now) {
		b.now = to
	}
}

// fire carries one timer out. A retry that has lasted too long opens as if it
// were final (routing rule 10).
func (b *Bridge) fire(t incident.Timer) error {
	var p incident.Plan
	if t.Kind == incident.RetryingTimer {
		ev, err := b.parts.Mapper.Normalize(b.events[t.Subject])
		if err != nil {
			return fmt.Errorf("normalize %s: %w", t.Subject, err)
		}
		ev.Effect = event.Open
		p = b.plan(ev, &t)
		p.Event = ""
	} else {
		p = b.parts.Planner.Timer(t, b.book.load(b.parts.Planner.TimerQuery(t)), b.now)
	}
	p.Consumed = &t
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

// Incidents are all there ever were, oldest first.
func (b *Bridge) Incidents() []incident.Incident { return slices.Clone(b.book.incidents) }

func (b *Bridge) apply(p incident.Plan) {
	b.book.apply(p, b.now)
	for _, i := range p.Incidents {
		if b.observer.Changed != nil {
			b.observer.Changed(b.book.whole(*b.book.incident(i.ID)))
		}
	}
	for _, r := range b.book.ran(p.Runs) {
		if b.observer.Ran != nil {
			b.observer.Ran(r)
		}
	}
}

// book is what a store would keep.
type book struct {
	incidents  []incident.Incident
	members    []incident.MatchedMember
	recoveries []incident.Recovery
	notices    map[string]incident.Notice
	digests    []incident.DigestItem
	told       []incident.ToldDigest
	runs       []incident.Run
	timers     []incident.Timer
	queue      []incident.Delivery // not yet sent
	past       []incident.Queued
	seq        int64
}

func (k *book) incident(id string) *incident.Incident {
	for i := range k.incidents {
		if k.incidents[i].ID == id {
			return &k.incidents[i]
		}
	}
	return nil
}

// load implements the store's Load.
func (k *book) load(q incident.Query) incident.View {
	var v incident.View
	ids := slices.Clone(q.Incidents)
	for _, h := range q.Handles {
		for _, m := range k.members {
			if m.Open && slices.Contains(m.Handles, h) && k.incident(m.Incident).Environment == q.Environment &&
				!slices.ContainsFunc(v.Matched, same(m)) && len(v.Matched) < 100 {
				v.Matched = append(v.Matched, m)
				ids = append(ids, m.Incident)
			}
		}
		for _, r := range k.recoveries {
			if r.Handle == h && r.Environment == q.Environment && !slices.Contains(v.Recoveries, r) {
				v.Recoveries = append(v.Recoveries, r)
			}
		}
	}
	for i := range k.runs {
		if r := k.runs[i]; q.RunKey != "" && r.Key == q.RunKey && r.Environment == q.Environment {
			v.Run = &r
			ids = append(ids, r.Incident)
		}
	}
	if id := k.byKey(q); id != "" {
		ids = append([]string{id}, ids...)
	}
	for i, id := range ids {
		if inc := k.incident(id); inc != nil && !slices.Contains(ids[:i], id) {
			v.Incidents = append(v.Incidents, k.whole(*inc))
		}
	}
	if n, known := k.notices[q.Notice]; known {
		v.Notice = &n
	}
	v.Digest = k.digest(q.Digest)
	return v
}

// byKey is the open incident of a key, else the one resolved last.
func (k *book) byKey(q incident.Query) string {
	found := ""
	var ended time.Time
	for i := range k.incidents {
		switch inc := &k.incidents[i]; {
		case q.Key == "" || inc.Key != q.Key || inc.Environment != q.Environment:
		case inc.State == incident.Open:
			return inc.ID
		case !inc.ResolvedAt.Before(ended):
			found, ended = inc.ID, inc.ResolvedAt
		}
	}
	return found
}

// whole is an incident with what is loaded beside its row.
func (k *book) whole(inc incident.Incident) incident.Incident {
	inc.Listed, inc.Queue = nil, nil
	for _, m := range k.members {
		if m.Incident == inc.ID && m.Open {
			inc.Listed = append(inc.Listed, m.Member)
		}
	}
	slices.SortStableFunc(inc.Listed, func(a, b incident.Member) int {
		if a.Due.IsZero() != b.Due.IsZero() {
			return cmp.Compare(boolean(a.Due.IsZero()), boolean(b.Due.IsZero()))
		}
		return cmp.Or(a.Due.Compare(b.Due), a.OpenedAt.Compare(b.OpenedAt))
	})
	inc.Listed = inc.Listed[:min(len(inc.Listed), inc.MaxMembers+8)]
	for _, d := range k.past {
		if d.Incident == inc.ID {
			inc.Queue = append(inc.Queue, d)
		}
	}
	for _, d := range k.queue {
		if d.Incident == inc.ID {
			inc.Queue = append(inc.Queue, incident.Queued{
				ID: d.ID, Seq: d.Seq, Incident: d.Incident, Notifier: d.Notifier, Kind: d.Kind, Alarm: d.Alarm, State: incident.Waiting,
			})
		}
	}
	return inc
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (k *book) digest(key string) *incident.DigestView {
	var v incident.DigestView
	some := false
	for _, item := range k.digests {
		switch {
		case key == "" || item.Digest != key:
			continue
		case !item.Ended.IsZero():
			v.Ended++
		default:
			v.Items = append(v.Items, item)
		}
		v.Name, some = item.Name, true
	}
	for _, t := range k.told {
		if t.Digest == key {
			v.Since = t.At
		}
	}
	if !some {
		return nil
	}
	slices.SortStableFunc(v.Items, func(a, b incident.DigestItem) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.OpenedAt.Compare(b.OpenedAt))
	})
	if n := len(v.Items); n > incident.MaxDigest {
		v.Items, v.More = v.Items[:incident.MaxDigest], n-incident.MaxDigest
	}
	return &v
}

func (k *book) nextTimer(to time.Time) (next incident.Timer, found bool) {
	for _, t := range k.timers {
		if !t.DueAt.After(to) && (!found || t.DueAt.Before(next.DueAt)) {
			next, found = t, true
		}
	}
	return next, found
}

func (k *book) nextDelivery(to time.Time) (next incident.Delivery, found bool) {
	for _, d := range k.queue {
		if !d.NextAt.After(to) && (!found || d.NextAt.Before(next.NextAt)) {
			next, found = d, true
		}
	}
	return next, found
}
