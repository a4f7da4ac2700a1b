package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// conflicts reports that a plan is refused and left nothing behind.
func (p *probe) conflicts(plan incident.Plan) {
	p.Helper()
	plan.Notices = append(plan.Notices, incident.Notice{Key: "must not stay", Since: start})
	if err := p.Apply(p.ctx(), plan); !errors.Is(err, incident.ErrConflict) {
		p.Errorf("apply: %v, want a conflict", err)
	}
	v, err := p.Load(p.ctx(), incident.Query{Notice: "must not stay"})
	p.ok(err)
	if v.Notice != nil {
		p.Error("a refused plan left its notice behind")
	}
}

var planClaims = []claim{
	{"a decision is stored with its event, once", func(p *probe) {
		ev := p.someEvent()
		plan := p.opened(ev, "k")
		p.ok(p.Apply(p.ctx(), plan))
		got, err := p.Event(p.ctx(), ev)
		p.ok(err)
		equal(p, "state", got.State, event.Planned)
		equal(p, "incident", got.Incident, plan.Incidents[0].ID)
		var d incident.Decision
		p.ok(json.Unmarshal(got.Decision, &d))
		equal(p, "outcome", d.Outcome, incident.Opened)
		p.conflicts(incident.Plan{Event: ev, Decision: plan.Decision})
	}},
	{"a parked event keeps its failures and is pending no more", func(p *probe) {
		ev := p.someEvent()
		_, err := p.Failed(p.ctx(), ev, "panic")
		p.ok(err)
		p.ok(p.Apply(p.ctx(), incident.Plan{Event: ev, Decision: &incident.Decision{Outcome: incident.ParkedAway}}))
		got, err := p.Events(p.ctx(), incident.Filter{State: "parked"})
		p.ok(err)
		equal(p, "parked", len(got), 1)
		equal(p, "failures", got[0].Failures, 1)
		equal(p, "state", got[0].State, event.Parked)
	}},
	{"an incident is stored as it was planned and its version rises", func(p *probe) {
		due := start.Add(6 * time.Hour)
		plan := p.opened(p.someEvent(), "k")
		plan.Incidents[0].Acknowledged = &incident.Mark{By: "ana", At: start, Why: "looking"}
		plan.Incidents[0].Told = []incident.Telling{{Notifier: "slack", Alarms: 1, At: start}}
		plan.Incidents[0].WaitUntil = start.Add(time.Minute + time.Nanosecond)
		plan.Incidents[0].Lead.Fields = map[string]any{
			event.SLADue: due, event.Amount: 12.5, event.PONumber: "PO-1", "acknowledgment.codes": []string{"R"},
		}
		p.ok(p.Apply(p.ctx(), plan))
		got := p.incident(plan.Incidents[0].ID)
		equal(p, "version", got.Version, 1)
		equal(p, "who", got.Acknowledged.By, "ana")
		equal(p, "told", got.Told[0].Notifier, "slack")
		equal(p, "wait", got.WaitUntil.Equal(plan.Incidents[0].WaitUntil), true)
		at, _ := got.Lead.Fields[event.SLADue].(time.Time)
		equal(p, "a time is a time", at.Equal(due), true)
		codes, _ := got.Lead.Fields["acknowledgment.codes"].([]string)
		equal(p, "texts are texts", fmt.Sprint(codes), "[R]")
		got.Notes = []string{"seen"}
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{got}}))
		equal(p, "next version", p.incident(got.ID).Version, 2)
		p.conflicts(incident.Plan{Incidents: []incident.Incident{got}})
	}},
	{"one incident of a key is open at most", func(p *probe) {
		p.open("k")
		p.conflicts(p.opened(p.someEvent(), "k"))
		other := p.opened(p.someEvent(), "k")
		other.Incidents[0].Environment = event.Sandbox
		p.ok(p.Apply(p.ctx(), other))
	}},
	{"a resolved incident leaves its key to the next, and may not come back beside it", func(p *probe) {
		first := p.open("k")
		p.resolve(first)
		p.open("k")
		again := p.incident(first.ID)
		again.State = incident.Open
		p.conflicts(incident.Plan{Incidents: []incident.Incident{again}})
	}},
	{"a conflict undoes the whole plan", func(p *probe) {
		stale := p.open("stale", "txn:1")
		moved := stale
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{moved}}))
		ev := p.someEvent()
		plan := p.opened(ev, "fresh", "txn:2")
		plan.Incidents = append(plan.Incidents, stale)
		plan.Deliveries = []incident.Delivery{to("fresh", incident.Opening)}
		plan.Timers = []incident.Timer{{Kind: incident.IncidentTimer, Subject: "x", DueAt: start}}
		p.conflicts(plan)
		got, err := p.Event(p.ctx(), ev)
		p.ok(err)
		equal(p, "event", got.State, event.Pending)
		p.nothing()
		due, _, err := p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "timers", len(due), 0)
	}},
	{"timers are upserted, come due to the microsecond and never early", func(p *probe) {
		at := start.Add(time.Minute + time.Nanosecond)
		set := func(subject string, at time.Time) {
			p.ok(p.Apply(p.ctx(), incident.Plan{Timers: []incident.Timer{{Kind: incident.IncidentTimer, Subject: subject, DueAt: at}}}))
		}
		set("a", start.Add(time.Hour))
		set("a", at)
		set("b", start.Add(2*time.Hour))
		due, next, err := p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "due", len(due), 0)
		equal(p, "next is not before", next.Before(at), false)
		p.clock.at = next
		due, next, err = p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "due now", fmt.Sprintf("%d %s", len(due), due[0].Subject), "1 a")
		equal(p, "the next", next.Equal(start.Add(2*time.Hour)), true)
		set("b", time.Time{})
		_, next, err = p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "a zero time deletes", next.IsZero(), true)
	}},
	{"a timer is consumed once, and only unchanged", func(p *probe) {
		timer := incident.Timer{Kind: incident.NoticeTimer, Subject: "a", DueAt: start}
		p.ok(p.Apply(p.ctx(), incident.Plan{Timers: []incident.Timer{timer}}))
		due, _, err := p.DueTimers(p.ctx(), 1)
		p.ok(err)
		moved := timer
		moved.DueAt = start.Add(-time.Second)
		p.conflicts(incident.Plan{Consumed: &moved})
		p.ok(p.Apply(p.ctx(), incident.Plan{Consumed: &due[0]}))
		p.conflicts(incident.Plan{Consumed: &due[0]})
	}},
	{"the timeline is appended in order", func(p *probe) {
		i := p.open("k")
		for k := range 3 {
			p.ok(p.Apply(p.ctx(), incident.Plan{Timeline: []incident.Entry{{Incident: i.ID, At: start, Kind: "note", Text: strconv.Itoa(k), By: "ana"}}}))
		}
		text := func(e incident.Entry) string { return e.Text }
		all, err := p.Timeline(p.ctx(), i.ID, 10)
		p.ok(err)
		equal(p, "all", ids(all, text), "0 1 2 ")
		equal(p, "by", all[0].By, "ana")
		last, err := p.Timeline(p.ctx(), i.ID, 2)
		p.ok(err)
		equal(p, "the newest", ids(last, text), "1 2 ")
	}},
	{"a plan for what has no such id is refused", func(p *probe) {
		bad := p.opened(p.someEvent(), "k")
		bad.Incidents[0].ID = "nonsense"
		if err := p.Apply(p.ctx(), bad); err == nil {
			p.Error("applied")
		}
	}},
}

var loadClaims = []claim{
	{"a key loads the open incident, else the one resolved last", func(p *probe) {
		q := incident.Query{Environment: event.Production, Key: "k"}
		load := func() string {
			v, err := p.Load(p.ctx(), q)
			p.ok(err)
			return ids(v.Incidents, func(i incident.Incident) string { return i.ID })
		}
		equal(p, "none", load(), "")
		a := p.open("k")
		p.resolve(a)
		p.pass(time.Hour)
		b := p.open("k")
		equal(p, "open", load(), b.ID+" ")
		p.resolve(b)
		equal(p, "resolved last", load(), b.ID+" ")
		c := p.open("k")
		equal(p, "open again", load(), c.ID+" ")
		q.Environment = event.Sandbox
		equal(p, "in another environment", load(), "")
	}},
	{"open members are found by handle, in their environment, until they are settled", func(p *probe) {
		i := p.open("k", "txn:1", "txn:2")
		find := func(env event.Environment, handles ...string) string {
			v, err := p.Load(p.ctx(), incident.Query{Environment: env, Handles: handles})
			p.ok(err)
			return ids(v.Matched, func(m incident.MatchedMember) string { return m.ID }) + ids(v.Incidents, func(i incident.Incident) string { return i.ID })
		}
		equal(p, "one", find(event.Production, "txn:2", "txn:2", "msg:9"), "txn:2 "+i.ID+" ")
		equal(p, "elsewhere", find(event.Sandbox, "txn:2"), "")
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"txn:2"}})
		p.ok(err)
		m := v.Matched[0]
		m.Open, m.SettledAt = false, p.Now()
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: v.Incidents, Members: []incident.MatchedMember{m}}))
		equal(p, "settled", find(event.Production, "txn:2"), "")
		equal(p, "its neighbour", find(event.Production, "txn:1"), "txn:1 "+i.ID+" ")
	}},
	{"an incident that ends closes the members that no plan has seen", func(p *probe) {
		i := p.open("k", "txn:1", "txn:2", "txn:3", "txn:4")
		p.resolve(i)
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"txn:4"}})
		p.ok(err)
		equal(p, "matched", len(v.Matched), 0)
		all, err := p.Members(p.ctx(), i.ID, 10)
		p.ok(err)
		for _, m := range all {
			equal(p, m.ID+" open", m.Open, false)
			equal(p, m.ID+" settled", m.SettledAt.Equal(p.Now()), true)
		}
		equal(p, "listed", len(p.incident(i.ID).Listed), 0)
	}},
	{"the earliest deadlines are listed first, then by opening, bounded", func(p *probe) {
		plan := p.opened(p.someEvent(), "k")
		for k := range 20 {
			m := incident.Member{ID: fmt.Sprintf("txn:%02d", k), Open: true, OpenedAt: start.Add(time.Duration(-k) * time.Second)}
			if k >= 18 {
				m.Due = start.Add(time.Duration(30-k) * time.Hour)
			}
			plan.Members = append(plan.Members, incident.MatchedMember{Incident: plan.Incidents[0].ID, Member: m})
		}
		p.ok(p.Apply(p.ctx(), plan))
		got := p.incident(plan.Incidents[0].ID)
		equal(p, "listed", len(got.Listed), got.MaxMembers+8)
		equal(p, "order", ids(got.Listed[:4], func(m incident.Member) string { return m.ID }), "txn:19 txn:18 txn:17 txn:16 ")
	}},
	{"at most a hundred members are matched", func(p *probe) {
		plan := p.opened(p.someEvent(), "k")
		for k := range 130 {
			plan.Members = append(plan.Members, incident.MatchedMember{Incident: plan.Incidents[0].ID,
				Member: incident.Member{ID: fmt.Sprint("txn:", k), Open: true, Handles: []string{"conn:acme"}}})
		}
		p.ok(p.Apply(p.ctx(), plan))
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"conn:acme"}})
		p.ok(err)
		equal(p, "matched", len(v.Matched), 100)
	}},
	{"a member is replaced by incident, id and class", func(p *probe) {
		i := p.open("k", "txn:1")
		for _, class := range []event.Class{event.Connectivity, event.SLA} {
			p.ok(p.Apply(p.ctx(), incident.Plan{Members: []incident.MatchedMember{{Incident: i.ID,
				Member: incident.Member{ID: "txn:1", Class: class, Open: true, Reference: "PO-2"}}}}))
		}
		all, err := p.Members(p.ctx(), i.ID, 10)
		p.ok(err)
		equal(p, "members", len(all), 2)
		equal(p, "replaced", all[0].Reference+all[1].Reference, "PO-2PO-2")
	}},
	{"the newest recovery of a kind counts, and the first retry", func(p *probe) {
		for _, at := range []time.Duration{0, time.Hour, -time.Hour} {
			p.ok(p.Apply(p.ctx(), incident.Plan{Recoveries: []incident.Recovery{
				{Environment: event.Production, Handle: "txn:1", Type: "transaction.delivered", OccurredAt: start.Add(at), Event: fmt.Sprint(at)},
				{Environment: event.Production, Handle: "txn:1", Type: "retrying", OccurredAt: start.Add(at), Event: fmt.Sprint(at)},
			}}))
		}
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"txn:1", "txn:1"}})
		p.ok(err)
		equal(p, "seen", ids(v.Recoveries, func(r incident.Recovery) string { return r.Type + "=" + r.Event }),
			"retrying=-1h0m0s transaction.delivered=1h0m0s ")
	}},
	{"a notice is kept by its key until it is deleted", func(p *probe) {
		for n := 1; n <= 2; n++ {
			p.ok(p.Apply(p.ctx(), incident.Plan{Notices: []incident.Notice{{Key: "unknown:x", Count: n, Since: start}}}))
		}
		v, err := p.Load(p.ctx(), incident.Query{Notice: "unknown:x"})
		p.ok(err)
		equal(p, "count", v.Notice.Count, 2)
		equal(p, "since", v.Notice.Since.Equal(start), true)
		p.ok(p.Apply(p.ctx(), incident.Plan{Notices: []incident.Notice{{Key: "unknown:x"}}}))
		v, err = p.Load(p.ctx(), incident.Query{Notice: "unknown:x"})
		p.ok(err)
		equal(p, "deleted", v.Notice == nil, true)
	}},
	{"a delivery loads its incident and itself", func(p *probe) {
		i := p.open("k")
		d := to("k", incident.Opening)
		d.Incident = i.ID
		d = p.queue(d)[0]
		v, err := p.Load(p.ctx(), incident.Query{Delivery: d.ID})
		p.ok(err)
		equal(p, "incident", v.Incidents[0].ID, i.ID)
		equal(p, "delivery", *v.Delivery, incident.Queued{ID: d.ID, Seq: d.Seq, Incident: i.ID, Notifier: "slack",
			Kind: incident.Opening, Alarm: 1, State: incident.Waiting})
	}},
	{"the queue shows what is unsent and the last sent of each notifier and alarm", func(p *probe) {
		i := p.open("k")
		for _, kind := range []incident.DeliveryKind{incident.Opening, incident.Reminder, incident.RunResult, incident.Resolve} {
			d := to("k", kind)
			d.Incident = i.ID
			p.queue(d)
		}
		p.settle(p.claim(), incident.Sent)
		p.settle(p.claim(), incident.Sent)
		p.settle(p.claim(), incident.Dead)
		got := ids(p.incident(i.ID).Queue, func(q incident.Queued) string { return fmt.Sprint(q.Kind, "/", q.State, "/", q.Attempted) })
		equal(p, "queue", got, "reminder/sent/true run/dead/true resolve/waiting/false ")
	}},
}
