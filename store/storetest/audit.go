package storetest

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func deed(action, subject string) incident.Audit {
	return incident.Audit{Actor: "ana", Action: action, Subject: subject}
}

func (p *probe) record(lines ...incident.Audit) {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{Audit: lines}))
}

func (p *probe) audit(f incident.Filter) []incident.Audit {
	p.Helper()
	got, err := p.Audit(p.ctx(), f)
	p.ok(err)
	return got
}

var auditClaims = []claim{
	{"lines are numbered, timed and chained by the store", func(p *probe) {
		p.record(deed(incident.AuditStopped, "all"), deed(incident.AuditResumed, "all"))
		p.pass(time.Minute + time.Nanosecond)
		whole := incident.Audit{ID: 77, At: start.Add(time.Hour), Actor: "bo", Action: incident.AuditCleared, Subject: "s", Why: "w", Incident: "i",
			Event: "e", Run: "r", Key: "k", RequestID: "q", Result: "done", Prev: "p", Hash: "h"}
		p.record(whole)
		got := p.audit(incident.Filter{})
		equal(p, "numbers", ids(got, func(a incident.Audit) string { return strconv.FormatInt(a.ID, 10) }), "3 2 1 ")
		equal(p, "first", got[2].Prev, "")
		equal(p, "chain", got[0].Prev == got[1].Hash && got[1].Prev == got[2].Hash, true)
		for _, a := range got {
			equal(p, "hash", a.Hash, a.Digest())
		}
		equal(p, "time", got[0].At.Equal(start.Add(time.Minute)), true)
		got[0].ID, got[0].At, got[0].Prev, got[0].Hash = whole.ID, whole.At, whole.Prev, whole.Hash
		equal(p, "as it was told", got[0], whole)
		v, err := p.VerifyAudit(p.ctx())
		p.ok(err)
		equal(p, "verified", v.Count == 3 && v.First.Equal(start) && v.Last.Equal(start.Add(time.Minute)), true)
		equal(p, "head", v.Head, p.audit(incident.Filter{Limit: 1})[0].Hash)
	}},
	{"an audit without lines is sound", func(p *probe) {
		v, err := p.VerifyAudit(p.ctx())
		p.ok(err)
		equal(p, "empty", v, incident.Verified{})
	}},
	{"a plan that is refused leaves no line and no gap", func(p *probe) {
		i := p.open("k")
		stale := i
		p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{i}}))
		p.conflicts(incident.Plan{Incidents: []incident.Incident{stale}, Audit: []incident.Audit{deed(incident.AuditResolved, i.ID)}})
		r := p.inserted(of(incident.RunDry, "txn_1", time.Time{}))
		p.conflicts(incident.Plan{Audit: []incident.Audit{deed(incident.AuditResolved, i.ID)}, Runs: []incident.Run{r}})
		p.record(deed(incident.AuditResolved, i.ID))
		v, err := p.VerifyAudit(p.ctx())
		p.ok(err)
		equal(p, "lines", v.Count, 1)
	}},
	{"the audit is narrowed by every field and continued", func(p *probe) {
		a := incident.Audit{Actor: "ana", Action: incident.AuditApproved, Incident: "in_a", Event: "ev_a", Run: "rn_a"}
		b := incident.Audit{Actor: "bo", Action: incident.AuditDenied, Incident: "in_b", Event: "ev_b", Run: "rn_b"}
		p.record(a)
		p.pass(time.Hour)
		p.record(b)
		for want, filters := range map[string][]incident.Filter{
			"ana ":    {{Incident: "in_a"}, {Event: "ev_a"}, {Run: "rn_a"}, {State: incident.AuditApproved}, {Until: start.Add(time.Hour)}, {Before: "2"}},
			"bo ":     {{Incident: "in_b"}, {Event: "ev_b"}, {Run: "rn_b"}, {State: incident.AuditDenied}, {Since: start.Add(time.Hour)}, {Limit: 1}},
			"bo ana ": {{}, {Before: "3"}},
			"":        {{Before: "1"}, {Run: "rn_c"}},
		} {
			for _, f := range filters {
				equal(p, "found", ids(p.audit(f), func(a incident.Audit) string { return a.Actor }), want)
			}
		}
		_, err := p.Audit(p.ctx(), incident.Filter{Before: "ev_0"})
		equal(p, "no number", errors.Is(err, event.ErrNotFound), true)
	}},
	{"a line holds no more than it should, and stays sound", func(p *probe) {
		long := strings.Repeat("é", 5000)
		p.record(incident.Audit{Actor: long, Action: long, Subject: long, Why: long, Key: long, Result: long}, deed("odd \xff bytes", "a\x00b"))
		got := p.audit(incident.Filter{})[1]
		equal(p, "why", got.Why, strings.Repeat("é", 1000))
		equal(p, "others", len(got.Actor) < 1000 && len(got.Key) < 1000, true)
		_, err := p.VerifyAudit(p.ctx())
		p.ok(err)
	}},
	{"the audit outlives everything it tells of", func(p *probe) {
		p.record(deed(incident.AuditStopped, "all"))
		p.pass(5000 * day)
		p.retain()
		p.Restart(p.T)
		p.record(deed(incident.AuditResumed, "all"))
		v, err := p.VerifyAudit(p.ctx())
		p.ok(err)
		equal(p, "lines", v.Count, 2)
	}},
	{"the start of a run is told in the commit that stores its key, once", func(p *probe) {
		i := p.open("k")
		r := of(incident.RunQueued, "txn_1", p.Now())
		r.Incident, r.Event, r.Override = i.ID, i.Lead.Event, "bo: the window is over"
		r.Approval.Given = []incident.Mark{{By: "ana", Why: "seen by phone"}, {By: "cy"}}
		p.propose(r)
		r = p.claimRun()
		got := p.audit(incident.Filter{})
		equal(p, "lines", len(got), 1)
		a := got[0]
		equal(p, "who did what", a.Actor+" "+a.Action+" "+a.Result, "bridge run.started started")
		equal(p, "to what", a.Subject+a.Run+a.Key+a.Incident+a.Event, r.ID+r.ID+r.Key+i.ID+i.Lead.Event)
		equal(p, "why", a.Why, "approved by ana: seen by phone; approved by cy; override: bo: the window is over")
		p.becomes(r, incident.RunQueued, p.Now())
		p.claimRun()
		equal(p, "when it is sent again", len(p.audit(incident.Filter{})), 1)
	}},
	{"a run that does not start is not told as started", func(p *probe) {
		p.ok(p.Apply(p.ctx(), incident.Plan{Switches: []incident.Switch{stop("")}}))
		p.refused("stopped", of(incident.RunQueued, "txn_1", p.Now()))
		p.propose(of(incident.RunProposed, "txn_2", p.Now()))
		p.claimRun()
		equal(p, "lines", len(p.audit(incident.Filter{})), 0)
	}},
}
