package storetest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// item is one incident in the digest "monday" of slack.
func item(inc string, severity event.Severity, opened time.Time) incident.DigestItem {
	return incident.DigestItem{Digest: "digest:monday|slack", Name: "monday", Notifier: "slack", Incident: inc, Environment: event.Production,
		Partner: "ACME", Severity: severity, Line: "856 PO-1, transaction failed", OpenedAt: opened}
}

func (p *probe) gather(items ...incident.DigestItem) {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{Digests: items}))
}

func (p *probe) told(at time.Time) {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{ToldDigests: []incident.ToldDigest{{Digest: "digest:monday|slack", At: at}}}))
}

func (p *probe) digest() *incident.DigestView {
	p.Helper()
	v, err := p.Load(p.ctx(), incident.Query{Digest: "digest:monday|slack"})
	p.ok(err)
	return v.Digest
}

var digestClaims = []claim{
	{"a digest lists what is open by severity, then by opening, and counts what ended", func(p *probe) {
		if v := p.digest(); v != nil {
			p.Fatalf("an empty digest: %+v, want nil", v)
		}
		a, b, c, d := p.open("a"), p.open("b"), p.open("c"), p.open("d")
		over := item(d.ID, event.Critical, start)
		over.Ended = start
		other := item(a.ID, event.Critical, start)
		other.Digest = "digest:friday|slack"
		worst := item(b.ID, event.Error, start.Add(time.Minute))
		p.gather(item(a.ID, event.Warning, start.Add(time.Hour)), item(c.ID, event.Warning, start), worst, over, other)
		v := p.digest()
		equal(p, "items", ids(v.Items, func(i incident.DigestItem) string { return i.Incident }), b.ID+" "+c.ID+" "+a.ID+" ")
		if diff := cmp.Diff(worst, v.Items[0]); diff != "" {
			p.Error(diff)
		}
		equal(p, "the rest", fmt.Sprint(v.Name, v.More, v.Ended, v.Since.IsZero()), "monday0 1 true")
	}},
	{"an item is one row of its digest and incident, and leaves when it is gone", func(p *probe) {
		a := p.open("a")
		p.gather(item(a.ID, event.Warning, start), item(a.ID, event.Error, start))
		v := p.digest()
		equal(p, "items", len(v.Items), 1)
		equal(p, "the newer", v.Items[0].Severity, event.Error)
		gone := v.Items[0]
		gone.Gone = true
		p.gather(gone)
		equal(p, "gone", p.digest() == nil, true)
	}},
	{"a digest that is told drops what had ended, keeps what is open and remembers when", func(p *probe) {
		a, b, c := p.open("a"), p.open("b"), p.open("c")
		before, after := item(b.ID, event.Warning, start), item(c.ID, event.Warning, start)
		before.Ended, after.Ended = start.Add(time.Hour), start.Add(time.Hour+time.Microsecond)
		p.gather(item(a.ID, event.Warning, start), before, after)
		p.told(start.Add(time.Hour))
		v := p.digest()
		equal(p, "open, ended", fmt.Sprint(len(v.Items), v.Ended), "1 1")
		equal(p, "since", v.Since.Equal(start.Add(time.Hour)), true)
		p.Restart(p.T)
		equal(p, "after a restart", len(p.digest().Items), 1)
		p.told(start.Add(2 * time.Hour))
		equal(p, "since the last", p.digest().Since.Equal(start.Add(2*time.Hour)), true)
	}},
	{"a digest lists a hundred and counts the others", func(p *probe) {
		for k := range incident.MaxDigest + 5 {
			p.gather(item(p.open(strconv.Itoa(k)).ID, event.Warning, start.Add(time.Duration(k))))
		}
		v := p.digest()
		equal(p, "listed, more", fmt.Sprint(len(v.Items), v.More), "100 5")
	}},
	{"a refused plan leaves the digest as it was", func(p *probe) {
		stale := p.open("stale")
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{stale}}))
		p.gather(item(stale.ID, event.Warning, start))
		p.conflicts(incident.Plan{Incidents: []incident.Incident{stale}, Digests: []incident.DigestItem{item(stale.ID, event.Critical, start)},
			ToldDigests: []incident.ToldDigest{{Digest: "digest:monday|slack", At: start}},
			Silences:    []incident.Silence{quiet("sl_1", start, start.Add(time.Hour))}})
		v := p.digest()
		equal(p, "as it was", fmt.Sprint(v.Items[0].Severity, v.Since.IsZero()), "warning true")
		equal(p, "no silence", p.silences(), "")
	}},
	{"items go with their incident", func(p *probe) {
		a, b := p.open("a"), p.open("b")
		over := item(a.ID, event.Warning, start)
		over.Ended = start
		p.gather(over, item(b.ID, event.Warning, start))
		p.told(start.Add(-time.Hour))
		p.resolve(a)
		p.pass(401 * day)
		p.retain()
		v := p.digest()
		equal(p, "left", fmt.Sprint(len(v.Items), v.Ended, v.Since.IsZero()), "1 0 false")
	}},
}

var heldClaims = []claim{
	{"open incidents are listed while a notifier is held", func(p *probe) {
		held := func() string {
			got, err := p.Held(p.ctx())
			p.ok(err)
			return ids(got, func(id string) string { return id })
		}
		p.open("free")
		plan := p.opened(p.someEvent(), "new")
		plan.Incidents[0].Told = []incident.Telling{{Notifier: "slack"}, {Notifier: "pager", Held: &incident.Held{Kind: incident.HeldByWindow, By: "business"}}}
		p.ok(p.Apply(p.ctx(), plan))
		a, b := p.incident(plan.Incidents[0].ID), p.open("later")
		equal(p, "a new one", held(), a.ID+" ")
		b.Told = []incident.Telling{{Notifier: "slack", Held: &incident.Held{Kind: incident.HeldBySilence, By: "sl_1"}}}
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{b}}))
		equal(p, "both", held(), a.ID+" "+b.ID+" ")
		a.Told[1].Held = nil
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{a}}))
		p.Restart(p.T)
		equal(p, "the one that is held", held(), b.ID+" ")
		p.resolve(p.incident(b.ID))
		equal(p, "none", held(), "")
	}},
}
