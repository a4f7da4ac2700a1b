package storetest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const day = 24 * time.Hour

var readClaims = []claim{
	{"lists are newest first, bounded and continued", func(p *probe) {
		all := make([]string, 0, 5)
		for range 5 {
			all = append(all, p.someEvent())
		}
		page := func(f incident.Filter) string {
			got, err := p.Events(p.ctx(), f)
			p.ok(err)
			return ids(got, func(e event.Stored) string { return e.ID })
		}
		equal(p, "first page", page(incident.Filter{Limit: 2}), all[4]+" "+all[3]+" ")
		equal(p, "second page", page(incident.Filter{Limit: 2, Before: all[3]}), all[2]+" "+all[1]+" ")
	}},
	{"a list of events leaves their bodies out, one event has its own", func(p *probe) {
		id := p.someEvent()
		listed, err := p.Events(p.ctx(), incident.Filter{})
		p.ok(err)
		equal(p, "listed bodies", len(listed[0].Body), 0)
		one, err := p.Event(p.ctx(), id)
		p.ok(err)
		equal(p, "a body", len(one.Body) > 0, true)
	}},
	{"events are narrowed by every field", func(p *probe) {
		a := p.someEvent()
		p.pass(time.Hour)
		in := p.received("other", "x")
		in.Source = "staging"
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		b := r.ID
		plan := p.opened(b, "k")
		d := to("k", incident.Opening)
		d.Incident = plan.Incidents[0].ID
		plan.Deliveries = []incident.Delivery{d}
		p.ok(p.Apply(p.ctx(), plan))
		for want, filters := range map[string][]incident.Filter{
			a: {{State: "pending"}, {Source: "datasync"}, {Until: start.Add(time.Hour)}, {Event: a}},
			b: {{State: "planned"}, {Source: "staging"}, {Since: start.Add(time.Hour)}, {Incident: d.Incident}, {Notifier: "slack"}},
		} {
			for _, f := range filters {
				got, err := p.Events(p.ctx(), f)
				p.ok(err)
				equal(p, fmt.Sprintf("%+v", f), ids(got, func(e event.Stored) string { return e.ID }), want+" ")
			}
		}
	}},
	{"incidents, deliveries and runs are narrowed", func(p *probe) {
		a := p.open("a")
		p.resolve(a)
		b := p.open("b")
		d, e := to("b", incident.Opening), to("a", incident.Opening)
		d.Incident, e.Incident, e.Notifier = b.ID, a.ID, "pager"
		p.ok(p.Apply(p.ctx(), incident.Plan{Deliveries: []incident.Delivery{d, e},
			Runs: []incident.Run{{Incident: b.ID, Event: b.Lead.Event}, {Incident: a.ID, State: incident.RunDry}}}))
		for _, f := range []incident.Filter{{State: "open"}, {Incident: b.ID}, {Event: b.Lead.Event}, {Notifier: "slack"}} {
			got, err := p.Incidents(p.ctx(), f)
			p.ok(err)
			equal(p, fmt.Sprintf("incidents %+v", f), ids(got, func(i incident.Incident) string { return i.ID }), b.ID+" ")
		}
		for _, f := range []incident.Filter{{Notifier: "slack"}, {Incident: b.ID}, {Event: b.Lead.Event}} {
			got, err := p.Deliveries(p.ctx(), f)
			p.ok(err)
			equal(p, fmt.Sprintf("deliveries %+v", f), ids(got, func(d incident.Delivery) string { return d.Incident }), b.ID+" ")
		}
		for _, f := range []incident.Filter{{State: "queued"}, {Incident: b.ID}, {Event: b.Lead.Event}, {Notifier: "slack"}} {
			got, err := p.Runs(p.ctx(), f)
			p.ok(err)
			equal(p, fmt.Sprintf("runs %+v", f), ids(got, func(r incident.Run) string { return r.Incident }), b.ID+" ")
		}
	}},
	{"what is not there is not found", func(p *probe) {
		for _, id := range []string{"", "nonsense", "ev_zzzz", "in_0000000000009"} {
			_, a := p.Event(p.ctx(), id)
			_, b := p.Incident(p.ctx(), id)
			_, c := p.Delivery(p.ctx(), id)
			_, d := p.Subject.Run(p.ctx(), id)
			for _, err := range []error{a, b, c, d} {
				equal(p, fmt.Sprintf("%q: %v", id, err), errors.Is(err, event.ErrNotFound), true)
			}
		}
	}},
	{"open tellings name who must still hear the end", func(p *probe) {
		a := p.open("a")
		a.Told = []incident.Telling{{Notifier: "slack", Alarms: 1}, {Notifier: "pager", Alarms: 1, Over: true}}
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{a}}))
		got, err := p.OpenTellings(p.ctx())
		p.ok(err)
		equal(p, "told", fmt.Sprint(got), fmt.Sprintf("map[slack:[%s]]", a.ID))
		p.resolve(p.incident(a.ID))
		got, err = p.OpenTellings(p.ctx())
		p.ok(err)
		equal(p, "resolved", len(got), 0)
	}},
}

// retain runs retention to its end.
func (p *probe) retain() (deleted int) {
	p.Helper()
	for {
		n, more, err := p.Retain(p.ctx())
		p.ok(err)
		deleted += n
		if !more {
			return deleted
		}
	}
}

func (p *probe) keeps(what, id string, want bool) {
	p.Helper()
	_, err := p.Event(p.ctx(), id)
	if err != nil && !errors.Is(err, event.ErrNotFound) {
		p.Fatal(err)
	}
	equal(p, what+" is kept", err == nil, want)
}

var upkeepClaims = []claim{
	{"events are deleted after their time, and their keys with them", func(p *probe) {
		old := p.accept("old", "body").ID
		p.ok(p.Apply(p.ctx(), incident.Plan{Event: old, Decision: &incident.Decision{Outcome: incident.Ignored}}))
		p.pass(90 * day)
		equal(p, "on the last day", p.retain(), 0)
		p.pass(time.Second)
		equal(p, "deleted", p.retain() > 0, true)
		p.keeps("the old event", old, false)
		equal(p, "its key is free", p.accept("old", "body").Status, event.Accepted)
	}},
	{"what something unfinished refers to is kept", func(p *probe) {
		pending := p.someEvent()
		open := p.open("open")
		unsent := p.open("unsent")
		d := to("unsent", incident.Resolve)
		d.Incident = unsent.ID
		p.queue(d)
		p.resolve(p.incident(unsent.ID))
		run := p.someEvent()
		p.ok(p.Apply(p.ctx(), incident.Plan{Event: run, Runs: []incident.Run{{Event: run, Workflow: "w"}}}))
		p.pass(500 * day)
		p.retain()
		p.keeps("a pending event", pending, true)
		p.keeps("an open incident's event", open.Lead.Event, true)
		p.keeps("an unsent delivery's event", unsent.Lead.Event, true)
		p.keeps("an unfinished run's event", run, true)
		p.incident(unsent.ID)
		p.settle(p.claim(), incident.Sent)
		r := p.claimRun()
		r.State = incident.RunDone
		p.propose(r)
		p.retain()
		p.keeps("a sent delivery's event", unsent.Lead.Event, false)
		p.keeps("a finished run's event", run, false)
		_, err := p.Incident(p.ctx(), unsent.ID)
		equal(p, "its incident is gone", errors.Is(err, event.ErrNotFound), true)
	}},
	{"a slice is small, and the rest follows", func(p *probe) {
		for n := range 30 {
			plan := p.opened(p.someEvent(), strconv.Itoa(n))
			for k := range 40 {
				plan.Members = append(plan.Members, incident.MatchedMember{Incident: plan.Incidents[0].ID, Member: incident.Member{ID: strconv.Itoa(k)}})
			}
			p.ok(p.Apply(p.ctx(), plan))
			p.resolve(p.incident(plan.Incidents[0].ID))
		}
		p.pass(401 * day)
		n, more, err := p.Retain(p.ctx())
		p.ok(err)
		equal(p, "first slice", n > 0 && n <= 500 && more, true)
		p.retain()
		left, err := p.Incidents(p.ctx(), incident.Filter{})
		p.ok(err)
		equal(p, "left", len(left), 0)
	}},
	{"recoveries and notices go with their time", func(p *probe) {
		p.ok(p.Apply(p.ctx(), incident.Plan{
			Recoveries: []incident.Recovery{{Environment: event.Production, Handle: "txn:1", Type: "x", OccurredAt: start, ReceivedAt: start}},
			Notices:    []incident.Notice{{Key: "n", Since: start}, {Key: "timed", Since: start}},
			Timers:     []incident.Timer{{Kind: incident.NoticeTimer, Subject: "timed", DueAt: start}},
		}))
		p.pass(91 * day)
		p.retain()
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"txn:1"}, Notice: "n"})
		p.ok(err)
		equal(p, "gone", len(v.Recoveries) == 0 && v.Notice == nil, true)
		v, err = p.Load(p.ctx(), incident.Query{Notice: "timed"})
		p.ok(err)
		equal(p, "a notice with a timer stays", v.Notice != nil, true)
	}},
	{"a backup holds what was committed, and replaces no file", func(p *probe) {
		id := p.accept("evt_1", "body").ID
		path := filepath.Join(p.TempDir(), "copy.db")
		p.ok(p.Backup(p.ctx(), path))
		p.accept("evt_2", "body")
		if err := p.Backup(p.ctx(), path); err == nil {
			p.Error("an existing file was replaced")
		}
		c := p.OpenCopy(p.T, path)
		all, err := c.Pending(p.ctx(), 10)
		p.ok(err)
		equal(p, "copied", ids(all, func(e event.Stored) string { return e.ID }), id+" ")
		r, err := c.Accept(p.ctx(), p.received("evt_1", "body"))
		p.ok(err)
		equal(p, "its keys too", r.Status, event.Duplicate)
	}},
	{"a store that works is ready", func(p *probe) {
		p.ok(p.Ready(p.ctx()))
	}},
}
