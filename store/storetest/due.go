package storetest

import (
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// inserted stores a run of a state and returns it as it is listed.
func (p *probe) inserted(r incident.Run) incident.Run {
	p.Helper()
	p.propose(r)
	got, err := p.Runs(p.ctx(), incident.Filter{Limit: 1})
	p.ok(err)
	return got[0]
}

func (p *probe) run(id string) incident.Run {
	p.Helper()
	r, err := p.Subject.Run(p.ctx(), id)
	p.ok(err)
	return r
}

// noRun reports that no run is due, and returns when to look again.
func (p *probe) noRun() time.Time {
	p.Helper()
	r, next, err := p.ClaimRun(p.ctx(), time.Minute)
	p.ok(err)
	if r != nil {
		p.Fatalf("claimed %s, which is %s, want none", r.ID, r.State)
	}
	return next
}

// of is a run of a state that is due at a time.
func of(state incident.RunState, transaction string, next time.Time) incident.Run {
	r := someRun(transaction, "par_1", incident.Limits{})
	r.State, r.NextAt = state, next
	return r
}

// started claims a new run, which must start.
func (p *probe) started(transaction string) incident.Run {
	p.Helper()
	p.propose(of(incident.RunQueued, transaction, time.Time{}))
	r := p.claimRun()
	if r.State != incident.RunStarted {
		p.Fatalf("run of %s is %s: %s", transaction, r.State, r.Why)
	}
	return r
}

// refused claims a new run, which must not start, and stores that.
func (p *probe) refused(what string, r incident.Run, parts ...string) {
	p.Helper()
	p.propose(r)
	r = p.claimRun()
	equal(p, what, r.State, incident.RunRefused)
	for _, part := range parts {
		equal(p, what+": "+r.Why+": tells "+part, strings.Contains(r.Why, part), true)
	}
	if r.State == incident.RunStarted {
		r.State = incident.RunDone
	}
	p.propose(r)
}

// becomes stores a run in another state and returns it anew.
func (p *probe) becomes(r incident.Run, state incident.RunState, next time.Time) incident.Run {
	p.Helper()
	r.State, r.NextAt = state, next
	p.propose(r)
	return p.run(r.ID)
}

var dueRunClaims = []claim{
	{"what is due first is claimed first, whatever its state", func(p *probe) {
		at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
		p.propose(of(incident.RunAwaiting, "txn_3", at(3)), of(incident.RunProposed, "txn_1", at(1)), of(incident.RunQueued, "txn_2", at(2)))
		equal(p, "the first", p.noRun().Equal(at(1)), true)
		p.pass(3 * time.Minute)
		for _, want := range []string{"txn_1 proposed", "txn_2 started", "txn_3 awaiting"} {
			r := p.claimRun()
			equal(p, "claimed", r.Transaction+" "+string(r.State), want)
		}
	}},
	{"a run that is not queued is leased as it is", func(p *probe) {
		for _, state := range []incident.RunState{incident.RunProposed, incident.RunAwaiting} {
			was := p.inserted(of(state, "txn_"+string(state), p.Now()))
			r := p.claimRun()
			equal(p, "state", r.State, state)
			equal(p, "attempts, key", r.Attempts == 0 && r.Key == "", true)
			equal(p, "token", r.Lease.Token, was.Lease.Token+1)
			equal(p, "until", r.Lease.Until.Equal(p.Now().Add(time.Minute)), true)
			equal(p, "next, while it is leased", p.noRun().Equal(r.Lease.Until), true)
			equal(p, "stored", p.run(r.ID).State, state)
			p.pass(time.Minute)
			again := p.claimRun()
			equal(p, "when the lease has ended", again.ID, r.ID)
			p.conflicts(incident.Plan{Runs: []incident.Run{r}})
			p.becomes(again, incident.RunRefused, time.Time{})
		}
	}},
	{"a restart ends the lease of a run that is not started", func(p *probe) {
		p.propose(of(incident.RunProposed, "txn_1", p.Now()))
		r := p.claimRun()
		p.Restart(p.T)
		equal(p, "claimed again", p.claimRun().ID, r.ID)
	}},
	{"an unknown run is claimed when a check is due, and never without one", func(p *probe) {
		r := p.becomes(p.started("txn_1"), incident.RunUnknown, time.Time{})
		p.pass(30 * day)
		equal(p, "left to a person", p.noRun().IsZero(), true)
		r = p.becomes(r, incident.RunUnknown, p.Now().Add(time.Hour))
		equal(p, "next", p.noRun().Equal(r.NextAt), true)
		p.pass(time.Hour)
		checked := p.claimRun()
		equal(p, "claimed", checked.ID+string(checked.State)+checked.Key, r.ID+"unknown"+r.Key)
		equal(p, "attempts", checked.Attempts, 1)
		checked.Checks++
		equal(p, "found done", p.becomes(checked, incident.RunDone, time.Time{}).Checks, 1)
	}},
	{"an unclear run goes on under its own key or not at all", func(p *probe) {
		r := p.becomes(p.started("txn_1"), incident.RunUnknown, p.Now())
		other := r
		other.State, other.Key = incident.RunQueued, ""
		if err := p.Apply(p.ctx(), incident.Plan{Runs: []incident.Run{other}}); err == nil {
			p.Error("it lost its key")
		}
		p.becomes(r, incident.RunQueued, p.Now())
		again := p.claimRun()
		equal(p, "again", string(again.State)+again.Key, "started"+r.Key)
		equal(p, "attempts", again.Attempts, 2)
	}},
	{"a run that has ended stays as it ended", func(p *probe) {
		for _, end := range []incident.RunState{incident.RunDone, incident.RunFailed, incident.RunRefused} {
			r := p.becomes(p.started("txn_"+string(end)), end, time.Time{})
			for _, state := range []incident.RunState{incident.RunDone, incident.RunFailed, incident.RunUnknown, incident.RunQueued, incident.RunAwaiting} {
				changed := r
				changed.State = state
				p.conflicts(incident.Plan{Runs: []incident.Run{changed}})
			}
		}
		dry := p.inserted(of(incident.RunDry, "txn_dry", time.Time{}))
		dry.State = incident.RunQueued
		p.conflicts(incident.Plan{Runs: []incident.Run{dry}})
	}},
	{"a run that may have acted cannot look as if it had not", func(p *probe) {
		r := p.becomes(p.started("txn_1"), incident.RunUnknown, p.Now())
		for _, state := range []incident.RunState{incident.RunRefused, incident.RunProposed, incident.RunAwaiting, incident.RunStarted, incident.RunDry} {
			changed := r
			changed.State = state
			if err := p.Apply(p.ctx(), incident.Plan{Runs: []incident.Run{changed}}); err == nil {
				p.Errorf("an unknown run became %s", state)
			}
		}
		equal(p, "stored", p.run(r.ID).State, incident.RunUnknown)
		p.becomes(r, incident.RunQueued, p.Now())
		again := p.claimRun()
		again.State = incident.RunRefused
		if err := p.Apply(p.ctx(), incident.Plan{Runs: []incident.Run{again}}); err == nil {
			p.Error("a run whose first call may have been heard became refused")
		}
	}},
	{"only a claim starts a run, and what has no key has not acted", func(p *probe) {
		r := p.inserted(of(incident.RunQueued, "txn_1", p.Now()))
		for _, state := range []incident.RunState{incident.RunStarted, incident.RunDone, incident.RunUnknown} {
			changed := r
			changed.State = state
			if err := p.Apply(p.ctx(), incident.Plan{Runs: []incident.Run{changed}}); err == nil {
				p.Errorf("a queued run became %s", state)
			}
		}
	}},
	{"two who change one run from the same reading cannot both", func(p *probe) {
		r := p.inserted(of(incident.RunAwaiting, "txn_1", p.Now().Add(time.Hour)))
		approved, denied := r, r
		approved.State, approved.NextAt, denied.State = incident.RunQueued, p.Now(), incident.RunRefused
		p.propose(approved)
		p.conflicts(incident.Plan{Runs: []incident.Run{denied}})
		equal(p, "token", p.run(r.ID).Lease.Token, r.Lease.Token+1)
		r = p.claimRun()
		p.conflicts(incident.Plan{Runs: []incident.Run{denied}})
		equal(p, "started", r.State, incident.RunStarted)
	}},
	{"a person's word does not wait for a lease", func(p *probe) {
		p.propose(of(incident.RunAwaiting, "txn_1", p.Now()))
		claimed := p.claimRun()
		r := p.run(claimed.ID)
		r.State, r.NextAt = incident.RunQueued, p.Now()
		p.propose(r)
		claimed.State = incident.RunRefused
		p.conflicts(incident.Plan{Runs: []incident.Run{claimed}})
		equal(p, "started at once", p.claimRun().State, incident.RunStarted)
	}},
	{"an older run that waits keeps a newer one of its transaction from starting", func(p *probe) {
		for _, state := range []incident.RunState{incident.RunProposed, incident.RunAwaiting, incident.RunQueued} {
			transaction := "txn_" + string(state)
			older := p.inserted(of(state, transaction, p.Now().Add(time.Hour)))
			p.refused("beside one that is "+string(state), of(incident.RunQueued, transaction, p.Now()), older.ID, "waits already")
			elsewhere := of(incident.RunQueued, transaction, p.Now())
			elsewhere.Environment = event.Sandbox
			p.propose(elsewhere)
			equal(p, "in another environment", p.claimRun().State, incident.RunStarted)
			newer := of(incident.RunAwaiting, transaction, p.Now().Add(time.Hour))
			waits := p.inserted(newer)
			older = p.becomes(p.run(older.ID), incident.RunQueued, p.Now())
			ran := p.claimRun()
			equal(p, "the older starts beside a newer that waits", ran.ID+string(ran.State), older.ID+"started")
			p.becomes(ran, incident.RunDone, time.Time{})
			p.becomes(waits, incident.RunRefused, time.Time{})
			equal(p, "when that is over", p.becomes(p.started(transaction), incident.RunDone, time.Time{}).State, incident.RunDone)
		}
	}},
	{"what a run that somebody must look at refers to is kept", func(p *probe) {
		kept := map[string]incident.Run{}
		for _, state := range []incident.RunState{incident.RunProposed, incident.RunAwaiting, incident.RunUnknown} {
			i := p.open("incident of " + string(state))
			lone := p.someEvent()
			r := of(state, "txn_"+string(state), start.Add(900*day))
			r.Event, r.Incident = lone, i.ID
			if state == incident.RunUnknown {
				r.NextAt = time.Time{} // its checks are over
			}
			r = p.inserted(r)
			p.ok(p.Apply(p.ctx(), incident.Plan{Event: lone}))
			p.resolve(p.incident(i.ID))
			kept[lone] = r
		}
		p.pass(500 * day)
		p.retain()
		for ev, r := range kept {
			p.keeps("the event of one that is "+string(r.State), ev, true)
			p.incident(r.Incident)
			p.run(r.ID)
			p.becomes(r, incident.RunFailed, time.Time{})
		}
		p.retain()
		for ev := range kept {
			p.keeps("the event of one that has ended", ev, false)
		}
	}},
}
