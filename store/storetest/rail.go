package storetest

import (
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func stop(scope string) incident.Switch {
	return incident.Switch{Scope: scope, Off: true, Mark: incident.Mark{By: "ana", At: start, Why: "they are moving"}}
}

// ends runs a new run of a transaction to its end.
func (p *probe) ends(transaction string, state incident.RunState) {
	p.Helper()
	p.becomes(p.started(transaction), state, time.Time{})
}

// trip opens the breaker of par_1.
func (p *probe) trip() {
	p.Helper()
	for n := range incident.BreakerFailures {
		p.ends(fmt.Sprintf("txn_trip_%d", n), incident.RunFailed)
	}
}

var railClaims = []claim{
	{"what a person stops does not start until another lets it", func(p *probe) {
		for _, scope := range []string{"", "resend"} {
			p.ok(p.Apply(p.ctx(), incident.Plan{Switches: []incident.Switch{stop(scope), stop("another")}}))
			p.refused("stopped", of(incident.RunQueued, "txn_1", p.Now()), "ana", start.Format(time.RFC3339), "they are moving")
			got, err := p.Switches(p.ctx())
			p.ok(err)
			equal(p, "listed", ids(got, func(s incident.Switch) string { return s.Scope }), min(scope, "another")+" "+max(scope, "another")+" ")
			equal(p, "as it was said", got[0].Off && got[0].At.Equal(start) && got[0].Why == "they are moving", true)
			p.ok(p.Apply(p.ctx(), incident.Plan{Switches: []incident.Switch{{Scope: scope}}}))
			p.ends("txn_1", incident.RunDone)
		}
	}},
	{"a stop holds over a restart, and for a run that is tried again", func(p *probe) {
		r := p.becomes(p.started("txn_1"), incident.RunQueued, p.Now())
		p.ok(p.Apply(p.ctx(), incident.Plan{Switches: []incident.Switch{stop("")}}))
		p.Restart(p.T)
		again := p.claimRun()
		equal(p, "claimed", again.ID+string(again.State), r.ID+"refused")
		p.propose(again)
	}},
	{"a stop does not say of a run that may have acted that it was refused", func(p *probe) {
		r := p.becomes(p.started("txn_1"), incident.RunUnknown, time.Time{})
		p.becomes(r, incident.RunQueued, p.Now())
		p.ok(p.Apply(p.ctx(), incident.Plan{Switches: []incident.Switch{stop("")}}))
		again := p.claimRun()
		equal(p, "claimed", again.ID+string(again.State), r.ID+"unknown")
		equal(p, "stored", p.becomes(again, incident.RunUnknown, time.Time{}).State, incident.RunUnknown)
	}},
	{"what was accepted and fails later counts as if it had failed at once", func(p *probe) {
		later := func(r incident.Run) {
			r.FailedLater = true
			p.becomes(r, incident.RunFailed, time.Time{})
		}
		p.ends("txn_0", incident.RunFailed) // before one that went well
		p.ends("txn_1", incident.RunDone)
		var accepted []incident.Run
		for _, id := range []string{"txn_2", "txn_3", "txn_4"} {
			accepted = append(accepted, p.becomes(p.started(id), incident.RunDone, time.Time{}))
		}
		later(accepted[2])
		later(accepted[1])
		p.ends("txn_5", incident.RunDone)
		later(accepted[0]) // two have gone well since the others
		p.ends("txn_6", incident.RunFailed)
		later(p.becomes(p.started("txn_7"), incident.RunDone, time.Time{}))
		later(p.becomes(p.started("txn_8"), incident.RunDone, time.Time{}))
		p.refused("after three", of(incident.RunQueued, "txn_9", p.Now()), "par_1")
	}},
	{"a run that is done stays so, but for a failure that is told later", func(p *probe) {
		done := p.becomes(p.started("txn_1"), incident.RunDone, time.Time{})
		for _, state := range []incident.RunState{incident.RunFailed, incident.RunQueued, incident.RunUnknown} {
			r := done
			r.State = state
			p.conflicts(incident.Plan{Runs: []incident.Run{r}})
		}
	}},
	{"a run is loaded by its key, with its incident", func(p *probe) {
		r := p.started("txn_1")
		v, err := p.Load(p.ctx(), incident.Query{Environment: r.Environment, RunKey: r.Key})
		p.ok(err)
		equal(p, "found", v.Run != nil && v.Run.ID == r.ID && v.Run.Lease.Token == r.Lease.Token, true)
		for _, q := range []incident.Query{{Environment: "other", RunKey: r.Key}, {Environment: r.Environment, RunKey: "x"}, {Environment: r.Environment}} {
			v, err = p.Load(p.ctx(), q)
			p.ok(err)
			equal(p, "found by another", v.Run == nil, true)
		}
	}},
	{"what only waits is claimed while runs are stopped", func(p *probe) {
		p.ok(p.Apply(p.ctx(), incident.Plan{Switches: []incident.Switch{stop("")}}))
		p.propose(of(incident.RunAwaiting, "txn_1", p.Now()))
		equal(p, "claimed", p.claimRun().State, incident.RunAwaiting)
	}},
	{"a rehearsal takes nothing from production", func(p *probe) {
		limits := incident.Limits{
			PerTransaction: incident.Rate{Count: 1, Per: time.Hour}, PerPartner: incident.Rate{Count: 1, Per: time.Hour},
			Overall: incident.Rate{Count: 1, Per: time.Hour}, Cooldown: time.Hour,
		}
		for _, environment := range []event.Environment{event.Sandbox, event.Production} {
			r := someRun("txn_1", "par_1", limits)
			r.Environment = environment
			p.propose(r)
			r = p.claimRun()
			equal(p, string(environment)+": "+r.Why, string(r.State)+r.Key, "startedresend_status:txn_1:1")
			p.becomes(r, incident.RunUnknown, time.Time{})
		}
	}},
	{"consecutive runs of a partner that fail or are unclear stop the next, until a pause is over", func(p *probe) {
		p.ends("txn_1", incident.RunFailed)
		p.ends("txn_2", incident.RunUnknown)
		p.ends("txn_3", incident.RunFailed)
		opened := p.Now()
		next := opened.Add(incident.BreakerPause).Format(time.RFC3339)
		p.refused("the next", of(incident.RunQueued, "txn_4", p.Now()), "par_1", "3", next)
		p.pass(incident.BreakerPause - time.Second)
		p.refused("just before the pause is over", of(incident.RunQueued, "txn_4", p.Now()), "par_1")
		p.pass(time.Second)
		through := p.started("txn_5")
		p.refused("beside the one that was let through", of(incident.RunQueued, "txn_4", p.Now()), "par_1")
		p.becomes(through, incident.RunDone, time.Time{})
		p.ends("txn_4", incident.RunFailed)
	}},
	{"one that fails after the pause begins another", func(p *probe) {
		p.trip()
		p.pass(incident.BreakerPause)
		p.ends("txn_1", incident.RunFailed)
		p.refused("the next", of(incident.RunQueued, "txn_2", p.Now()), "4", p.Now().Add(incident.BreakerPause).Format(time.RFC3339))
	}},
	{"a run that did well ends the count", func(p *probe) {
		for _, state := range []incident.RunState{incident.RunFailed, incident.RunFailed, incident.RunDone, incident.RunFailed, incident.RunFailed} {
			p.n++
			p.ends(fmt.Sprintf("txn_%d", p.n), state)
		}
		p.started("txn_last")
	}},
	{"another partner, another environment and a run without a partner go on", func(p *probe) {
		p.trip()
		other, rehearsal, without := someRun("txn_1", "par_2", incident.Limits{}), someRun("txn_2", "par_1", incident.Limits{}), someRun("txn_3", "", incident.Limits{})
		rehearsal.Environment = event.Sandbox
		for _, r := range []incident.Run{other, rehearsal, without} {
			p.propose(r)
			equal(p, r.Transaction, p.claimRun().State, incident.RunStarted)
		}
	}},
	{"the breaker holds over a restart, and a run that lapsed counts", func(p *probe) {
		p.ends("txn_1", incident.RunFailed)
		p.ends("txn_2", incident.RunFailed)
		p.started("txn_3")
		p.Restart(p.T)
		lapsed, err := p.LapsedRuns(p.ctx())
		p.ok(err)
		p.becomes(lapsed[0], incident.RunUnknown, time.Time{})
		p.refused("the next", of(incident.RunQueued, "txn_4", p.Now()), "par_1")
	}},
	{"a run counts once, however often it is sent or looked into", func(p *probe) {
		p.ends("txn_1", incident.RunFailed)
		r := p.started("txn_2")
		p.becomes(r, incident.RunQueued, p.Now()) // nothing happened, it is sent again
		r = p.becomes(p.claimRun(), incident.RunUnknown, time.Time{})
		p.becomes(r, incident.RunQueued, p.Now()) // sent again under its key
		r = p.becomes(p.claimRun(), incident.RunUnknown, p.Now())
		p.becomes(r, incident.RunFailed, time.Time{}) // a check found out
		p.becomes(p.started("txn_3"), incident.RunRefused, time.Time{})
		p.ends("txn_4", incident.RunFailed)
		p.refused("the third", of(incident.RunQueued, "txn_5", p.Now()), "last 3 runs")
	}},
	{"a run that a check or a person finds failed is not counted a second time", func(p *probe) {
		p.ends("txn_1", incident.RunFailed)
		r := p.becomes(p.started("txn_2"), incident.RunUnknown, time.Time{})
		p.becomes(r, incident.RunFailed, time.Time{})
		p.becomes(p.inserted(of(incident.RunQueued, "txn_3", p.Now())), incident.RunFailed, time.Time{}) // it never started
		p.started("txn_4")
	}},
	{"a check that finds a run done ends the count", func(p *probe) {
		p.ends("txn_1", incident.RunFailed)
		p.ends("txn_2", incident.RunFailed)
		r := p.becomes(p.started("txn_3"), incident.RunUnknown, time.Time{})
		p.becomes(r, incident.RunDone, time.Time{})
		p.started("txn_4")
	}},
}
