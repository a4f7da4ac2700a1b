package storetest

import (
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func (p *probe) claimPoll(name string) incident.Poll {
	p.Helper()
	got, _, err := p.ClaimPoll(p.ctx(), name, time.Minute)
	p.ok(err)
	if got == nil {
		p.Fatalf("poll %s cannot be claimed", name)
	}
	return *got
}

// noPoll reports that a poll cannot be claimed, and returns when it can.
func (p *probe) noPoll(name string) time.Time {
	p.Helper()
	got, next, err := p.ClaimPoll(p.ctx(), name, time.Minute)
	p.ok(err)
	if got != nil {
		p.Fatalf("poll %s was claimed", name)
	}
	return next
}

func (p *probe) losesPoll(poll incident.Poll) {
	p.Helper()
	if err := p.SettlePoll(p.ctx(), poll); !errors.Is(err, incident.ErrLeaseLost) {
		p.Errorf("settle: %v, want a lost lease", err)
	}
}

var pollClaims = []claim{
	{"a poll begins due, and goes on where it was settled", func(p *probe) {
		poll := p.claimPoll("failed")
		equal(p, "new", poll.Name == "failed" && poll.Watermark.IsZero() && poll.DueAt.Equal(start) && poll.Failures == 0 && poll.State == nil, true)
		poll.Watermark, poll.DueAt, poll.Failures, poll.State = start.Add(-time.Minute), start.Add(5*time.Minute), 2, []byte(`{"page":3}`)
		p.ok(p.SettlePoll(p.ctx(), poll))
		equal(p, "not due", p.noPoll("failed").Equal(poll.DueAt), true)
		p.Restart(p.T)
		p.pass(5 * time.Minute)
		got := p.claimPoll("failed")
		equal(p, "watermark", got.Watermark.Equal(poll.Watermark), true)
		equal(p, "failures, state", fmt.Sprintf("%d%s", got.Failures, got.State), `2{"page":3}`)
	}},
	{"a poll is one claimer's while its lease lasts", func(p *probe) {
		poll := p.claimPoll("failed")
		equal(p, "next", p.noPoll("failed").Equal(start.Add(time.Minute)), true)
		p.claimPoll("another")
		p.pass(time.Minute)
		second := p.claimPoll("failed")
		p.losesPoll(poll)
		second.Watermark = start
		p.ok(p.SettlePoll(p.ctx(), second))
		p.losesPoll(second)
		p.losesPoll(incident.Poll{Name: "unheard of"})
	}},
	{"a late claimer may settle as long as nobody else has begun", func(p *probe) {
		poll := p.claimPoll("failed")
		p.pass(time.Hour)
		p.ok(p.SettlePoll(p.ctx(), poll))
	}},
	{"a restart ends the lease of a poll", func(p *probe) {
		poll := p.claimPoll("failed")
		p.Restart(p.T)
		p.claimPoll("failed")
		p.losesPoll(poll)
	}},
	{"polls are listed by name", func(p *probe) {
		p.claimPoll("b")
		p.claimPoll("a")
		got, err := p.Polls(p.ctx())
		p.ok(err)
		equal(p, "listed", ids(got, func(x incident.Poll) string { return x.Name }), "a b ")
		equal(p, "leased", got[0].Lease.Until.Equal(start.Add(time.Minute)), true)
	}},
}

// pages returns the ids of open members, page by page, each page ended by a bar.
func (p *probe) pages(environment event.Environment, before time.Time, limit int) string {
	p.Helper()
	all, after := "", ""
	for {
		got, next, err := p.OpenMembers(p.ctx(), "datasync", environment, before, limit, after)
		p.ok(err)
		all += ids(got, func(m incident.MatchedMember) string { return m.ID }) + "|"
		if after = next; after == "" {
			return all
		}
	}
}

// openOf opens an incident with members that are transactions.
func (p *probe) openOf(key string, environment event.Environment, members ...string) incident.Incident {
	p.Helper()
	plan := p.opened(p.someEvent(), key, members...)
	plan.Incidents[0].Environment = environment
	for k := range plan.Members {
		plan.Members[k].Transaction = plan.Members[k].ID
	}
	p.ok(p.Apply(p.ctx(), plan))
	return p.incident(plan.Incidents[0].ID)
}

var memberClaims = []claim{
	{"open transactions come oldest first, page by page", func(p *probe) {
		a := p.openOf("a", event.Production, "1", "2")
		p.pass(time.Minute)
		p.openOf("b", event.Production, "3")
		p.openOf("c", event.Sandbox, "4")
		p.open("d", "no transaction")
		ended := p.openOf("e", event.Production, "5")
		p.resolve(ended)
		p.pass(time.Minute)
		p.openOf("f", event.Production, "6")
		equal(p, "all", p.pages(event.Production, p.Now().Add(time.Minute), 10), "1 2 3 6 |")
		equal(p, "by two", p.pages(event.Production, p.Now().Add(time.Minute), 2), "1 2 |3 6 ||")
		equal(p, "by one", p.pages(event.Production, p.Now().Add(time.Minute), 1), "1 |2 |3 |6 ||")
		equal(p, "before", p.pages(event.Production, p.Now(), 10), "1 2 3 |")
		equal(p, "sandbox", p.pages(event.Sandbox, p.Now().Add(time.Minute), 10), "4 |")
		got, _, err := p.OpenMembers(p.ctx(), "datasync", event.Production, p.Now(), 1, "")
		p.ok(err)
		equal(p, "its incident", got[0].Incident, a.ID)
		_, _, err = p.OpenMembers(p.ctx(), "datasync", event.Production, p.Now(), 1, "nonsense")
		equal(p, "no token", errors.Is(err, event.ErrNotFound), true)
	}},
	{"open transactions that another source told of are not among them", func(p *probe) {
		p.openOf("a", event.Production, "1")
		of := func(source string) string {
			got, _, err := p.OpenMembers(p.ctx(), source, event.Production, p.Now().Add(time.Minute), 10, "")
			p.ok(err)
			return ids(got, func(m incident.MatchedMember) string { return m.ID })
		}
		equal(p, "its own", of("datasync"), "1 ")
		equal(p, "another's", of("erp"), "")
		in := p.received("other", "{}")
		in.Source = "erp"
		receipt, err := p.Accept(p.ctx(), in)
		p.ok(err)
		plan := p.opened(receipt.ID, "b", "2") // in an incident that the first source opened
		plan.Members[0].Transaction = "2"
		p.ok(p.Apply(p.ctx(), plan))
		equal(p, "by the event", of("erp"), "2 ")
	}},
	{"a member whose place another class takes is gone with its handles", func(p *probe) {
		i := p.openOf("k", event.Production, "txn:1", "txn:2")
		was := i.Listed[0]
		now := was
		now.Class, now.Handles, now.Origin = event.Certificate, []string{"seen:1"}, event.OriginWebhook
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{i}, Members: []incident.MatchedMember{
			{Incident: i.ID, Member: was, Gone: true}, {Incident: i.ID, Member: now}}}))
		all, err := p.Members(p.ctx(), i.ID, 10)
		p.ok(err)
		equal(p, "members", len(all), 2)
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"txn:1"}})
		p.ok(err)
		equal(p, "by the old handle", len(v.Matched), 0)
		v, err = p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"seen:1", "txn:2"}})
		p.ok(err)
		equal(p, "by the new handle, and the other", ids(v.Matched, func(m incident.MatchedMember) string { return m.ID + string(m.Class) }),
			"txn:1"+string(event.Certificate)+" txn:2"+string(event.Connectivity)+" ")
		equal(p, "origin", v.Matched[0].Origin, event.OriginWebhook)
		p.ok(p.Apply(p.ctx(), incident.Plan{Members: []incident.MatchedMember{{Incident: i.ID, Member: was, Gone: true}}}))
	}},
	{"a mark of a failure keeps where it was told, and the newest counts", func(p *probe) {
		at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
		for _, kind := range []string{"failed", "polled"} {
			for n, told := range map[int]string{2: "in_2", 1: "in_1"} {
				p.ok(p.Apply(p.ctx(), incident.Plan{Recoveries: []incident.Recovery{
					{Environment: event.Production, Handle: "txn:1", Type: kind, OccurredAt: at(n), ReceivedAt: at(n), Incident: told}}}))
			}
		}
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Handles: []string{"txn:1"}})
		p.ok(err)
		equal(p, "kept", ids(v.Recoveries, func(r incident.Recovery) string { return r.Type + r.Incident + r.OccurredAt.Format(" 15") }),
			"failedin_2 10 polledin_2 10 ")
	}},
}
