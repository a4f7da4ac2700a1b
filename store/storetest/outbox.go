package storetest

import (
	"errors"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

var outboxClaims = []claim{
	{"a delivery is claimed as it was queued and settled as it went", func(p *probe) {
		i := p.open("k")
		d := to("k", incident.Opening)
		d.Incident, d.Text, d.Destination, d.Fingerprint = i.ID, "it broke", "C1", "ab12"
		d.Snapshot = incident.Snapshot{Incident: i.ID, Severity: event.Critical, Open: 3, Due: start.Add(time.Hour)}
		p.queue(d)
		p.pass(time.Second)
		got := p.claim()
		equal(p, "text", got.Text+got.Destination+got.Fingerprint, "it brokeC1ab12")
		equal(p, "snapshot", got.Snapshot.Open, 3)
		equal(p, "due", got.Snapshot.Due.Equal(start.Add(time.Hour)), true)
		equal(p, "queued", got.QueuedAt.Equal(start), true)
		equal(p, "first try", got.FirstTry.Equal(p.Now()), true)
		equal(p, "lease", got.Lease.Until.Equal(p.Now().Add(time.Minute)), true)
		p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: got.ID, Lease: got.Lease, State: incident.Sent, Ref: "C1/1.2", Answer: "ok", Said: "told Slack"}))
		got = p.delivery(got.ID)
		equal(p, "state", got.State, incident.Sent)
		equal(p, "attempts", got.Attempts, 1)
		equal(p, "ref, answer", got.Ref+got.Answer, "C1/1.2ok")
		lines, err := p.Timeline(p.ctx(), i.ID, 10)
		p.ok(err)
		equal(p, "said", lines[0].Text+" "+lines[0].Delivery, "told Slack "+got.ID)
		equal(p, "nothing waits", p.nothing().IsZero(), true)
	}},
	{"an end and an acknowledgement go through the key that their own alarm went through", func(p *probe) {
		i := p.open("k")
		of := func(kind incident.DeliveryKind, alarm int) incident.Delivery {
			d := to("k", kind)
			d.Incident, d.Alarm, d.Fingerprint = i.ID, alarm, "queued"
			return d
		}
		p.queue(of(incident.Opening, 1), of(incident.Alarm, 2), of(incident.Acknowledged, 1), of(incident.Resolve, 2), of(incident.Resolve, 3))
		for n, want := range []string{"queued", "queued", "first", "second", "queued"} {
			d := p.claim()
			equal(p, string(d.Kind)+" goes through", d.Fingerprint, want)
			through := []string{"first", "second", "", "", ""}[n]
			p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: incident.Sent, Fingerprint: through}))
			if through != "" {
				equal(p, "kept", p.delivery(d.ID).Fingerprint, through)
			}
		}
	}},
	{"openings come before resolves, replies and edits, then by age", func(p *probe) {
		for _, d := range []incident.Delivery{to("a", incident.Update), to("b", incident.Reminder), to("c", incident.Resolve), to("d", incident.Opening), to("e", incident.Alarm)} {
			p.queue(d)
		}
		for _, want := range []string{"d", "e", "c", "b", "a"} {
			equal(p, "order", p.claim().Order, want)
		}
	}},
	{"nothing overtakes what is unfinished before it in its order", func(p *probe) {
		p.queue(to("k", incident.Update), to("k", incident.Opening))
		first := p.claim()
		equal(p, "first", first.Kind, incident.Update)
		equal(p, "look again when its lease ends", p.nothing().Equal(first.Lease.Until), true)
		later := p.Now().Add(time.Hour)
		p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: first.ID, Lease: first.Lease, State: incident.Waiting, NextAt: later, Error: "503"}))
		equal(p, "look again at its next attempt", p.nothing().Equal(later), true)
		p.pass(time.Hour)
		again := p.claim()
		equal(p, "again", again.ID+again.Error, first.ID+"503")
		equal(p, "attempts before", again.Attempts, 1)
		p.settle(again, incident.Dead)
		equal(p, "the dead do not block", p.claim().Kind, incident.Opening)
	}},
	{"another notifier's deliveries are not held up", func(p *probe) {
		other := to("k", incident.Opening)
		other.Notifier = "pager"
		p.queue(to("k", incident.Opening), other)
		p.claim()
		d, _, err := p.Claim(p.ctx(), "pager", time.Minute)
		p.ok(err)
		equal(p, "claimed", d != nil && d.Notifier == "pager", true)
	}},
	{"a newer edit supersedes those that were never attempted", func(p *probe) {
		i := p.open("k")
		edit := to("k", incident.Update)
		edit.Incident = i.ID
		first := p.queue(edit)[0]
		second := p.queue(edit)[0]
		equal(p, "replaced", p.delivery(first.ID).State, incident.Superseded)
		claimed := p.claim()
		equal(p, "newest", claimed.ID, second.ID)
		third := p.queue(edit)[0]
		equal(p, "being sent", p.delivery(second.ID).State, incident.Sending)
		p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: second.ID, Lease: claimed.Lease, State: incident.Waiting, NextAt: p.Now()}))
		p.queue(edit)
		equal(p, "attempted stays", p.delivery(second.ID).State, incident.Waiting)
		equal(p, "never attempted goes", p.delivery(third.ID).State, incident.Superseded)
		all, err := p.Deliveries(p.ctx(), incident.Filter{Incident: i.ID})
		p.ok(err)
		equal(p, "listed", len(all), 2)
		gone, err := p.Deliveries(p.ctx(), incident.Filter{Incident: i.ID, State: string(incident.Superseded)})
		p.ok(err)
		equal(p, "listed when asked for", len(gone), 2)
	}},
	{"a newer edit goes when the one that it replaces would have gone", func(p *probe) {
		i := p.open("k")
		edit := to("k", incident.Update)
		edit.Incident, edit.NextAt = i.ID, p.Now().Add(time.Second)
		p.queue(edit)
		first := edit.NextAt
		edit.NextAt = first.Add(time.Hour)
		newest := p.queue(edit)[0]
		equal(p, "put off", p.delivery(newest.ID).NextAt.After(first.Add(time.Millisecond)), false)
	}},
	{"a pause is no attempt", func(p *probe) {
		p.queue(to("k", incident.Opening))
		d := p.claim()
		p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: incident.Waiting, NextAt: p.Now().Add(time.Second), Uncounted: true}))
		got := p.delivery(d.ID)
		equal(p, "attempts", got.Attempts, 0)
		equal(p, "first try", got.FirstTry.IsZero(), true)
		p.ok(p.Apply(p.ctx(), incident.Plan{Drops: []incident.Drop{{Delivery: d.ID, Why: "over"}}}))
	}},
	{"what was never attempted can be dropped, anything else is a conflict", func(p *probe) {
		ds := p.queue(to("k", incident.Opening), to("k", incident.Resolve))
		p.ok(p.Apply(p.ctx(), incident.Plan{Drops: []incident.Drop{{Delivery: ds[0].ID, Why: "over already"}}}))
		got := p.delivery(ds[0].ID)
		equal(p, "dropped", string(got.State)+": "+got.Error, "dropped: over already")
		d := p.claim()
		equal(p, "the next goes", d.ID, ds[1].ID)
		p.conflicts(incident.Plan{Drops: []incident.Drop{{Delivery: d.ID}}})
		p.settle(d, incident.Waiting)
		p.conflicts(incident.Plan{Drops: []incident.Drop{{Delivery: d.ID}}})
	}},
	{"a fallback comes with its delivery, at once when that is dead, not at all when sent", func(p *probe) {
		d := to("a", incident.Opening)
		d.FallbackAt = start.Add(3 * time.Minute)
		e := d
		e.Order = "b"
		ds := p.queue(d, e)
		_, next, err := p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "set", next.Equal(d.FallbackAt), true)
		p.settle(p.claim(), incident.Dead)
		due, next, err := p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "pulled", len(due) == 1 && due[0].Subject == ds[0].ID && due[0].Kind == incident.FallbackTimer, true)
		equal(p, "the other stays", next.Equal(d.FallbackAt), true)
		p.settle(p.claim(), incident.Sent)
		_, next, err = p.DueTimers(p.ctx(), 10)
		p.ok(err)
		equal(p, "sent ends it", next.IsZero(), true)
	}},
	{"a thread is the newest message of that incident and notifier", func(p *probe) {
		i := p.open("k")
		for _, ref := range []string{"C1/1", "", "C1/3"} {
			d := to("k", incident.Reminder)
			d.Incident = i.ID
			p.queue(d)
			c := p.claim()
			p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: c.ID, Lease: c.Lease, State: incident.Sent, Ref: ref}))
		}
		mine, other := to("k", incident.Resolve), to("k", incident.Resolve)
		mine.Incident, other.Incident, other.Notifier = i.ID, i.ID, "pager"
		p.queue(mine, other)
		equal(p, "thread", p.claim().Thread, "C1/3")
		d, _, err := p.Claim(p.ctx(), "pager", time.Minute)
		p.ok(err)
		equal(p, "another notifier's", d.Thread, "")
	}},
	{"a dead delivery can be retried, and goes before later ones of its order", func(p *probe) {
		ds := p.queue(to("k", incident.Opening), to("k", incident.Reminder))
		p.settle(p.claim(), incident.Dead)
		p.ok(p.RetryDelivery(p.ctx(), ds[0].ID))
		got := p.claim()
		equal(p, "retried", got.ID, ds[0].ID)
		equal(p, "attempts start anew", got.Attempts, 0)
		p.nothing()
		if err := p.RetryDelivery(p.ctx(), ds[1].ID); err == nil {
			p.Error("what is not dead was retried")
		}
		err := p.RetryDelivery(p.ctx(), "dl_0000000000000")
		equal(p, "unknown", errors.Is(err, event.ErrNotFound), true)
	}},
	{"deliveries poke whoever waits for them", func(p *probe) {
		changed := p.Changed("deliveries")
		p.queue(to("k", incident.Opening))
		<-changed
	}},
}

var leaseClaims = []claim{
	{"a lease that ended lets another claim, as unclear and an attempt more", func(p *probe) {
		p.queue(to("k", incident.Opening))
		first := p.claim()
		p.pass(time.Minute)
		second := p.claim()
		equal(p, "same", second.ID, first.ID)
		equal(p, "unclear", second.Unclear, true)
		equal(p, "attempts", second.Attempts, 1)
		err := p.Settle(p.ctx(), incident.Settlement{Delivery: first.ID, Lease: first.Lease, State: incident.Sent})
		equal(p, "the first is refused", errors.Is(err, incident.ErrLeaseLost), true)
		p.settle(second, incident.Sent)
		equal(p, "the second counts", p.delivery(first.ID).State, incident.Sent)
	}},
	{"a settled lease is over", func(p *probe) {
		p.queue(to("k", incident.Opening))
		d := p.claim()
		p.settle(d, incident.Dead)
		err := p.Settle(p.ctx(), incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: incident.Sent})
		equal(p, "refused", errors.Is(err, incident.ErrLeaseLost), true)
	}},
	{"a restart ends all leases at once", func(p *probe) {
		p.queue(to("k", incident.Opening))
		before := p.claim()
		p.Restart(p.T)
		err := p.Settle(p.ctx(), incident.Settlement{Delivery: before.ID, Lease: before.Lease, State: incident.Sent})
		equal(p, "the old lease is refused", errors.Is(err, incident.ErrLeaseLost), true)
		after := p.claim()
		equal(p, "same", after.ID, before.ID)
		equal(p, "unclear", after.Unclear, true)
		equal(p, "epoch rose", after.Lease.Epoch > before.Lease.Epoch, true)
	}},
	{"what waits is still waiting after a restart", func(p *probe) {
		d := to("k", incident.Opening)
		d.NextAt = start.Add(time.Hour)
		p.queue(d)
		p.Restart(p.T)
		equal(p, "look again", p.nothing().Equal(start.Add(time.Hour)), true)
		p.pass(time.Hour)
		equal(p, "unclear", p.claim().Unclear, false)
	}},
}
