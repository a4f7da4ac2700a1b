package storetest

import (
	"fmt"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
)

func someRun(transaction, partner string, limits incident.Limits) incident.Run {
	return incident.Run{Remediation: "resend", Workflow: "resend_status", Transaction: transaction, Partner: partner,
		State: incident.RunQueued, Limits: limits, Params: map[string]any{"transaction_id": transaction, "n": 5}}
}

func (p *probe) propose(runs ...incident.Run) {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{Runs: runs}))
}

// claimRun returns the run that is due, which must exist.
func (p *probe) claimRun() incident.Run {
	p.Helper()
	r, _, err := p.ClaimRun(p.ctx(), time.Minute)
	p.ok(err)
	if r == nil {
		p.Fatal("no run to claim")
	}
	return *r
}

// starts claims one new run and returns what became of it; its outcome is stored.
func (p *probe) starts(transaction, partner string, limits incident.Limits) incident.RunState {
	p.Helper()
	p.propose(someRun(transaction, partner, limits))
	r := p.claimRun()
	end := r
	if r.State == incident.RunStarted {
		end.State = incident.RunDone
	} else if r.Why == "" {
		p.Error("refused without a reason")
	}
	p.propose(end)
	return r.State
}

var runClaims = []claim{
	{"no two runs have one key, however they are named", func(p *probe) {
		one, two := someRun("b:c", "par_1", incident.Limits{}), someRun("c", "par_1", incident.Limits{})
		one.Workflow, two.Workflow = "a", "a:b"
		p.propose(one, two)
		equal(p, "keys", p.claimRun().Key+" "+p.claimRun().Key, "a:b:c:1 a:b:c:2")
	}},
	{"a run starts with its key stored, and ends under its lease", func(p *probe) {
		p.propose(someRun("txn_1", "par_1", incident.Limits{}))
		r := p.claimRun()
		equal(p, "key", r.Key, "resend_status:txn_1:1")
		equal(p, "state", r.State, incident.RunStarted)
		equal(p, "params", fmt.Sprintf("%v %v", r.Params["n"], r.Params["transaction_id"]), "5 txn_1")
		stored, err := p.Subject.Run(p.ctx(), r.ID)
		p.ok(err)
		equal(p, "key stored", stored.Key, r.Key)
		equal(p, "started stored", stored.State, incident.RunStarted)
		r.State, r.RequestID = incident.RunDone, "req_1"
		p.propose(r)
		stored, err = p.Subject.Run(p.ctx(), r.ID)
		p.ok(err)
		equal(p, "end stored", string(stored.State)+stored.RequestID, "donereq_1")
		p.conflicts(incident.Plan{Runs: []incident.Run{r}})
	}},
	{"each run of a transaction has an ordinal of its own", func(p *probe) {
		for _, want := range []string{"resend_status:txn_1:1", "resend_status:txn_1:2"} {
			p.propose(someRun("txn_1", "par_1", incident.Limits{}))
			r := p.claimRun()
			equal(p, "key", r.Key, want)
			r.State = incident.RunDone
			p.propose(r)
		}
		p.propose(someRun("txn_2", "par_1", incident.Limits{}))
		equal(p, "another transaction", p.claimRun().Key, "resend_status:txn_2:1")
	}},
	{"a run that is tried again keeps its key and is not counted again", func(p *probe) {
		limits := incident.Limits{Overall: incident.Rate{Count: 1, Per: time.Hour}}
		p.propose(someRun("txn_1", "par_1", limits))
		r := p.claimRun()
		key := r.Key
		r.State, r.NextAt = incident.RunQueued, p.Now().Add(time.Minute)
		p.propose(r)
		_, next, err := p.ClaimRun(p.ctx(), time.Minute)
		p.ok(err)
		equal(p, "next", next.Equal(r.NextAt), true)
		p.pass(time.Minute)
		r = p.claimRun()
		equal(p, "again", string(r.State)+r.Key, "started"+key)
		equal(p, "due no more", r.NextAt.IsZero(), true)
		equal(p, "attempts", r.Attempts, 2)
	}},
	{"limits count starts in their window, and a refusal is not counted", func(p *probe) {
		two := incident.Rate{Count: 2, Per: time.Hour}
		for name, limits := range map[string]incident.Limits{
			"transaction": {PerTransaction: two}, "partner": {PerPartner: two}, "overall": {Overall: two},
		} {
			same := func() (string, string) { return "txn_1", "par_1" }
			run := func() incident.RunState {
				transaction, partner := same()
				p.Helper()
				p.propose(func() incident.Run { r := someRun(transaction, partner, limits); r.Remediation = name; return r }())
				r := p.claimRun()
				end := r
				if r.State == incident.RunStarted {
					end.State = incident.RunDone
				}
				p.propose(end)
				return r.State
			}
			equal(p, name+" 1", run(), incident.RunStarted)
			p.pass(time.Minute)
			equal(p, name+" 2", run(), incident.RunStarted)
			equal(p, name+" 3", run(), incident.RunRefused)
			equal(p, name+" 4", run(), incident.RunRefused)
			p.pass(time.Hour - time.Minute)
			equal(p, name+" when the first has left the window", run(), incident.RunStarted)
			equal(p, name+" only one place was free", run(), incident.RunRefused)
			p.pass(2 * time.Hour)
		}
	}},
	{"a limit per transaction or partner leaves the others alone", func(p *probe) {
		limits := incident.Limits{PerTransaction: incident.Rate{Count: 1, Per: time.Hour}, PerPartner: incident.Rate{Count: 2, Per: time.Hour}}
		equal(p, "first", p.starts("txn_1", "par_1", limits), incident.RunStarted)
		equal(p, "same transaction", p.starts("txn_1", "par_1", limits), incident.RunRefused)
		equal(p, "same partner", p.starts("txn_2", "par_1", limits), incident.RunStarted)
		equal(p, "partner is full", p.starts("txn_3", "par_1", limits), incident.RunRefused)
		equal(p, "another partner", p.starts("txn_3", "par_2", limits), incident.RunStarted)
	}},
	{"a cooldown holds a transaction's next run", func(p *probe) {
		limits := incident.Limits{Cooldown: 15 * time.Minute}
		equal(p, "first", p.starts("txn_1", "par_1", limits), incident.RunStarted)
		p.pass(15*time.Minute - time.Second)
		equal(p, "too soon", p.starts("txn_1", "par_1", limits), incident.RunRefused)
		equal(p, "another transaction", p.starts("txn_2", "par_1", limits), incident.RunStarted)
		p.pass(time.Second)
		equal(p, "cool", p.starts("txn_1", "par_1", limits), incident.RunStarted)
	}},
	{"two remediations of one workflow share its limits and its cooldown", func(p *probe) {
		for name, limits := range map[string]incident.Limits{
			"transaction": {PerTransaction: incident.Rate{Count: 1, Per: time.Hour}},
			"partner":     {PerPartner: incident.Rate{Count: 1, Per: time.Hour}},
			"overall":     {Overall: incident.Rate{Count: 1, Per: time.Hour}},
			"cooldown":    {Cooldown: 15 * time.Minute},
		} {
			equal(p, name+": the first", p.starts("txn_1", "par_1", limits), incident.RunStarted)
			renamed := someRun("txn_1", "par_1", limits)
			renamed.Remediation = "resend under another name"
			p.propose(renamed)
			r := p.claimRun()
			equal(p, name+": the second", r.State, incident.RunRefused)
			p.propose(r)
			p.pass(2 * time.Hour)
		}
	}},
	{"a run whose outcome nobody knows lets no other key start for its transaction", func(p *probe) {
		p.propose(someRun("txn_1", "par_1", incident.Limits{}))
		first := p.claimRun()
		p.propose(someRun("txn_1", "par_1", incident.Limits{}))
		second := p.claimRun()
		equal(p, "while the first is under way", second.State, incident.RunRefused)
		equal(p, "which it names", strings.Contains(second.Why, first.ID), true)
		p.propose(second)
		first.State = incident.RunUnknown
		p.propose(first)
		p.pass(30 * 24 * time.Hour)
		equal(p, "when its answer was lost", p.starts("txn_1", "par_1", incident.Limits{}), incident.RunRefused)
		equal(p, "another transaction", p.starts("txn_2", "par_1", incident.Limits{}), incident.RunStarted)
	}},
	{"limits hold over a restart", func(p *probe) {
		limits := incident.Limits{Overall: incident.Rate{Count: 1, Per: time.Hour}}
		equal(p, "first", p.starts("txn_1", "par_1", limits), incident.RunStarted)
		p.Restart(p.T)
		equal(p, "second", p.starts("txn_2", "par_1", limits), incident.RunRefused)
	}},
	{"a started run is claimed by nobody else; when its lease ends it has lapsed", func(p *probe) {
		p.propose(someRun("txn_1", "par_1", incident.Limits{}))
		r := p.claimRun()
		none, _, err := p.ClaimRun(p.ctx(), time.Minute)
		p.ok(err)
		equal(p, "claimed twice", none == nil, true)
		lapsed, err := p.LapsedRuns(p.ctx())
		p.ok(err)
		equal(p, "lapsed already", len(lapsed), 0)
		p.pass(time.Minute)
		lapsed, err = p.LapsedRuns(p.ctx())
		p.ok(err)
		equal(p, "lapsed", len(lapsed) == 1 && lapsed[0].ID == r.ID, true)
		lapsed[0].State = incident.RunUnknown
		p.propose(lapsed[0])
		r.State = incident.RunDone
		p.conflicts(incident.Plan{Runs: []incident.Run{r}})
	}},
	{"a restart makes every started run lapse", func(p *probe) {
		p.propose(someRun("txn_1", "par_1", incident.Limits{}))
		r := p.claimRun()
		p.Restart(p.T)
		lapsed, err := p.LapsedRuns(p.ctx())
		p.ok(err)
		equal(p, "lapsed", len(lapsed) == 1 && lapsed[0].Key == r.Key, true)
	}},
	{"a dry run is recorded and never claimed", func(p *probe) {
		r := someRun("txn_1", "par_1", incident.Limits{})
		r.State = incident.RunDry
		p.propose(r)
		none, next, err := p.ClaimRun(p.ctx(), time.Minute)
		p.ok(err)
		equal(p, "claimed", none == nil && next.IsZero(), true)
	}},
}
