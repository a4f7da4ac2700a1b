package incident

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

// asked makes a run one that waits for a person, as the worker does once it has
// read its transaction.
func (w *world) asked(needed int) func(*Run) {
	return func(r *Run) {
		r.Why = "an invoice that arrives twice may be paid twice"
		r.Facts = Facts{Document: "810", Partner: "P1", Amount: "12400.00", Currency: "USD"}
		r.Approval = Approval{By: []string{"ana", "ben"}, Needed: needed, AskedAt: w.now, Expires: w.now.Add(4 * time.Hour)}
	}
}

func proposedRun(txn string) Run {
	return Run{Remediation: "resend-invoice", Workflow: "resend_invoice", State: RunProposed, Transaction: txn, Partner: "P1"}
}

// waiting is an incident of n invoices whose runs rn_0001, … wait for a person.
func waiting(t *testing.T, n int) (w *world, id string) {
	t.Helper()
	w = newWorld(t)
	for i := range n {
		txn := fmt.Sprintf("T%d", i+1)
		id = w.event(failed(txn, to("slack", "hook", "pager"), with(event.DocumentType, "810"), with(event.DocumentName, "invoice"),
			with(event.InvoiceNumber, "INV-7"), with(event.PartnerName, "Harrowgate"), proposing(proposedRun(txn)))).Incident
	}
	w.send()
	for _, name := range []string{"slack", "hook", "pager"} {
		w.heard(name)
	}
	for i := range n {
		w.becomes(fmt.Sprintf("rn_%04d", i+1), RunAwaiting, w.asked(1))
	}
	return w, id
}

func actions(list []Audit) string {
	var words []string
	for _, a := range list {
		words = append(words, a.Actor+" "+a.Action+" "+a.Run)
	}
	return strings.Join(words, "; ")
}

func TestRouting33_APersonIsAskedOnceWithTheWholeListOnTheIncident(t *testing.T) {
	w, id := waiting(t, 1)
	w.want("slack", "approval update")
	w.want("hook", "approval")
	w.want("pager", "")
	want := "resend_invoice on 810 invoice INV-7 (T1) of Harrowgate, 12400.00 USD\n" +
		"Why a person decides: an invoice that arrives twice may be paid twice\nMay approve: ana, ben"
	if text := w.last("hook").Text; text != want {
		t.Errorf("asks %q, want %q", text, want)
	}
	s := w.last("slack").Snapshot
	if len(s.Awaiting) != 1 || !slices.Equal(s.Awaiting[0].Runs, []string{"rn_0001"}) || !s.Awaiting[0].Expires.Equal(start.Add(4*time.Hour)) {
		t.Errorf("the root shows %+v", s.Awaiting)
	}
	if got := actions(w.audit); got != "bridge run.proposed ; bridge run.asked rn_0001" {
		t.Errorf("audit: %s", got)
	}
	w.becomes("rn_0001", RunAwaiting) // the worker looked at it again
	w.want("slack", "")
	if inc := w.incidents[id]; len(inc.Awaiting[0].Runs) != 1 {
		t.Errorf("counted twice: %+v", inc.Awaiting)
	}
}

func TestRouting33_LaterRunsJoinTheRequestAndAskNobodyAgain(t *testing.T) {
	w, id := waiting(t, 60)
	w.want("hook", "approval")
	if got := strings.Count(w.heard("slack"), "approval"); got != 1 {
		t.Errorf("asked %d times in the thread", got)
	}
	a := w.incidents[id].Awaiting
	if len(a) != 1 || len(a[0].Runs) != 50 || a[0].More != 10 {
		t.Fatalf("the request lists %d and counts %d more", len(a[0].Runs), a[0].More)
	}
	for i := range 60 {
		w.deed(fmt.Sprintf("rn_%04d", 60-i), RunQueued, "ana", AuditApproved, "")
	}
	if a := w.incidents[id].Awaiting; len(a) != 0 {
		t.Errorf("all are approved, and %+v wait", a)
	}
	other := proposedRun("T99")
	other.Remediation = "another"
	w.event(failed("T99", proposing(other)))
	w.send()
	w.heard("slack")
	w.becomes("rn_0061", RunAwaiting, w.asked(2))
	w.want("slack", "approval update")
	if text := w.deliveries[len(w.deliveries)-2].Text; !strings.Contains(text, "Must approve: two of ana, ben") {
		t.Errorf("asks %q", text)
	}
}

func TestRouting33_WhatAnswersARequest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(w *world)
		text  string
		by    string
		audit string
	}{
		{"approved", func(w *world) { w.deed("rn_0001", RunQueued, "ana", AuditApproved, "partner asked") },
			"resend_invoice for T1 was approved by ana: partner asked", "ana", "ana run.approved rn_0001"},
		{"approved, told by the run alone", func(w *world) {
			w.becomes("rn_0001", RunQueued, func(r *Run) { r.Approval.Given = []Mark{{By: "ben", At: w.now}} })
		}, "resend_invoice for T1 was approved by ben", "ben", "ben run.approved rn_0001"},
		{"denied", func(w *world) { w.deed("rn_0001", RunRefused, "ben", AuditDenied, "sent by mail") },
			"resend_invoice for T1 was denied by ben: sent by mail", "ben", "ben run.denied rn_0001"},
		{"expired", func(w *world) {
			w.pass(4 * time.Hour)
			w.heard("slack")
			w.becomes("rn_0001", RunRefused, func(r *Run) { r.Why = "nobody approved it in time" })
		}, "resend_invoice was refused before any call: nobody approved it in time", "", "bridge run.refused rn_0001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, id := waiting(t, 1)
			w.send()
			w.heard("slack")
			w.audit = nil
			tt.do(w)
			w.want("slack", "run update")
			d, line := w.deliveries[len(w.deliveries)-2], w.timeline[len(w.timeline)-1]
			if d.Kind != RunResult || d.Text != tt.text || line.By != tt.by || line.Run != "rn_0001" {
				t.Errorf("%s says %q; timeline %+v", d.Kind, d.Text, line)
			}
			if len(w.incidents[id].Awaiting) != 0 || len(w.last("slack").Snapshot.Awaiting) != 0 {
				t.Errorf("it still waits: %+v", w.incidents[id].Awaiting)
			}
			if got := actions(w.audit); got != tt.audit {
				t.Errorf("audit: %s", got)
			}
		})
	}
}

func TestRouting33_TheFirstOfTwoApprovalsLeavesItWaiting(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", proposing(proposedRun("T1"))))
	w.becomes("rn_0001", RunAwaiting, w.asked(2))
	w.send()
	w.heard("slack")
	w.deed("rn_0001", RunAwaiting, "ana", AuditApproved, "")
	w.want("slack", "run update")
	if text := w.deliveries[len(w.deliveries)-2].Text; text != "resend_invoice for T1 was approved by ana, and 1 more must approve it" {
		t.Errorf("says %q", text)
	}
	last := w.audit[len(w.audit)-1]
	if len(w.open()[0].Awaiting) != 1 || last.Result != "1 more needed" || last.Subject != "rn_0001" || last.Incident != "in_0001" || last.Event != "ev_0001" {
		t.Errorf("waits %+v, audit %+v", w.open()[0].Awaiting, last)
	}
}

func TestRouting33_ARequestExpiresWithItsEarliestRun(t *testing.T) {
	w, id := waiting(t, 1)
	w.event(failed("T2", proposing(proposedRun("T2"))))
	w.pass(time.Hour)
	w.becomes("rn_0002", RunAwaiting, w.asked(1))
	if at := w.incidents[id].Awaiting[0].Expires; !at.Equal(start.Add(4 * time.Hour)) {
		t.Errorf("expires at %v", at)
	}
	w.deed("rn_0001", RunRefused, "ana", AuditDenied, "no")
	if at := w.incidents[id].Awaiting[0].Expires; !at.Equal(start.Add(5 * time.Hour)) {
		t.Errorf("without the first it expires at %v", at)
	}
}

func TestRouting33_OfManyThatExpireOnlyTheLastSpeaks(t *testing.T) {
	w, _ := waiting(t, 3)
	w.pass(4 * time.Hour)
	w.send()
	w.heard("slack")
	for i := range 3 {
		w.becomes(fmt.Sprintf("rn_%04d", i+1), RunRefused)
	}
	w.want("slack", "update update run update")
}

func TestRouting33_AnIncidentThatEndsWaitsForNobody(t *testing.T) {
	w, id := waiting(t, 2)
	for _, txn := range []string{"T1", "T2"} {
		w.event(delivered(txn))
	}
	if a := w.incidents[id].Awaiting; len(a) != 0 {
		t.Errorf("it is over, and %+v wait", a)
	}
	if s := w.states("slack"); !strings.Contains(s, "approval:dropped") {
		t.Errorf("what was asked and not sent stays: %s", s)
	}
	w.heard("slack")
	w.becomes("rn_0001", RunRefused, func(r *Run) { r.Why = "the transaction is no longer open" })
	w.want("slack", "")
	w.becomes("rn_0002", RunAwaiting)
	w.want("slack", "")
	if got := w.timelineOf(id); !strings.Contains(got, "the transaction is no longer open") {
		t.Errorf("timeline:\n%s", got)
	}
}

func TestRouting33_AQuestionThatWasAnsweredBeforeItWasSentIsNotPut(t *testing.T) {
	w, _ := waiting(t, 1)
	w.deed("rn_0001", RunQueued, "ana", AuditApproved, "")
	if s := w.states("hook"); !strings.HasSuffix(s, "approval:dropped") {
		t.Errorf("hook: %s", s)
	}
	two, _ := waiting(t, 1)
	other := proposedRun("T2")
	other.Remediation = "another"
	two.event(failed("T2", proposing(other)))
	two.becomes("rn_0002", RunAwaiting, two.asked(1))
	two.deed("rn_0001", RunQueued, "ana", AuditApproved, "")
	if s := two.states("hook"); !strings.HasSuffix(s, "approval:waiting approval:waiting") {
		t.Errorf("hook: %s, while one of them still waits", s)
	}
	sent, _ := waiting(t, 1)
	sent.send()
	sent.deed("rn_0001", RunQueued, "ana", AuditApproved, "")
	if s := sent.states("hook"); !strings.HasSuffix(s, "approval:sent") {
		t.Errorf("hook: %s", s)
	}
}

func TestRouting34_WhatTheWorkerDoesByItselfIsNoNews(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", proposing(tried(0))))
	w.send()
	w.heard("slack")
	for _, state := range []RunState{RunStarted, RunQueued} { // a 429
		w.becomes("rn_0001", state, func(r *Run) { r.Attempts = 1 })
	}
	w.becomes("rn_0001", RunUnknown)
	w.want("slack", "run")
	w.becomes("rn_0001", RunUnknown, func(r *Run) { r.Checks, r.NextAt = 1, w.now.Add(time.Minute) })
	w.want("slack", "")
	w.becomes("rn_0001", RunUnknown, func(r *Run) { r.Checks, r.NextAt = 5, time.Time{} }) // left to a person
	w.want("slack", "run")
	w.deed("rn_0001", RunDone, "ana", AuditCleared, "seen in the console")
	w.want("slack", "run update")
	if text := w.deliveries[len(w.deliveries)-2].Text; text != "resend_status was settled by ana: it counts as done: seen in the console" {
		t.Errorf("says %q", text)
	}
	if got := actions(w.audit); got != "bridge run.ended rn_0001; bridge run.ended rn_0001; ana run.cleared rn_0001" {
		t.Errorf("audit: %s", got)
	}
}

func TestRouting33_EachEndOfARunIsAudited(t *testing.T) {
	for state, want := range map[RunState]string{
		RunDone: AuditEnded, RunFailed: AuditEnded, RunUnknown: AuditEnded, RunRefused: AuditRefused,
	} {
		r := Run{ID: "rn_1", Incident: "in_1", Event: "ev_1", Key: "k:T1:1", RequestID: "req_1", State: state, Why: "so"}
		p := (&Machine{settings()}).RunChanged(View{}, r, start) // its incident is gone, the record is not
		line := Audit{Actor: ActorBridge, Action: want, Subject: "rn_1", Why: "so", Incident: "in_1", Event: "ev_1", Run: "rn_1", Key: "k:T1:1", RequestID: "req_1", Result: string(state)}
		if len(p.Audit) != 1 || p.Audit[0] != line || len(p.Runs) != 1 {
			t.Errorf("%s: audit %+v, want %+v", state, p.Audit, line)
		}
	}
}

func TestRouting33_WhichProposalsAreAudited(t *testing.T) {
	override := tried(0)
	override.Override, override.Transaction = "lead: agreed with the partner", "T1"
	for name, tt := range map[string]struct {
		run  Run
		want string
	}{
		"for a person":     {proposedRun("T1"), "run.proposed resend-invoice for T1: "},
		"with an override": {override, "run.proposed resend-status for T1: override: lead: agreed with the partner"},
		"refused":          {Run{Remediation: "x", State: RunRefused, Why: "because"}, "run.refused x: because"},
		"ordinary":         {tried(0), ""},
		"dry":              {run(RunDry), ""},
	} {
		w := newWorld(t)
		w.event(failed("T1", proposing(tt.run)))
		var lines []string
		for _, a := range w.audit {
			lines = append(lines, a.Action+" "+a.Subject+": "+a.Why)
		}
		if got := strings.Join(lines, "; "); got != tt.want {
			t.Errorf("%s: audit %q, want %q", name, got, tt.want)
		}
	}
}

func TestRouting17_WhatIsDoneByHandIsAudited(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1")).Incident
	mark := Mark{By: "ana", At: w.now, Why: "on it"}
	for action, do := range map[string]func(View, string, Mark) (Plan, error){AuditAcknowledged: w.m.Acknowledge, AuditResolved: w.m.Resolve} {
		p, err := do(w.load(Query{Incidents: []string{id}}), id, mark)
		want := Audit{Actor: "ana", Action: action, Subject: id, Why: "on it", Incident: id}
		if err != nil || len(p.Audit) != 1 || p.Audit[0] != want {
			t.Errorf("error %v, audit %+v, want %+v", err, p.Audit, want)
		}
	}
}
