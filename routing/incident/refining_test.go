package incident

import (
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestPolling4_ALateWebhookRefinesInPlace(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Minute)
	id := w.event(polledFailure("T1", occurred(start), to("pager", "slack"), with("transaction.status", "failed"))).Incident
	w.send()
	w.want("pager", "opening")
	w.heard("slack")
	w.pass(2 * time.Hour)
	opened := w.incidents[id].LastOpening
	d := w.event(failed("T1", occurred(start), to("pager", "slack"), classed(event.Certificate),
		with(event.ErrorMessage, "certificate unknown"), with(event.DocumentType, "856"),
		proposing(Run{Workflow: "x", State: RunQueued})))
	outcome(t, d, Refined)
	w.want("pager", "")
	w.want("slack", "update")
	w.wantOpen(1)
	inc := w.incidents[id]
	if d.Incident != id || inc.Class != event.Certificate || inc.Total != 1 || inc.OpenMembers() != 1 || !inc.LastOpening.Equal(opened) {
		t.Errorf("incident %+v", inc)
	}
	if !slices.Equal(inc.Documents, []DocumentCount{{Type: "856", Open: 1, Total: 1}}) {
		t.Errorf("documents %+v", inc.Documents)
	}
	if !slices.Equal(inc.Notes, []string{"webhook came 2 h late, polling had found it"}) {
		t.Errorf("notes %q", inc.Notes)
	}
	if f := inc.Lead.Fields; f[event.ErrorMessage] != "certificate unknown" || f["transaction.status"] != "failed" {
		t.Errorf("lead %v", f)
	}
	if len(w.members) != 1 || len(w.runs) != 0 {
		t.Errorf("members %v, runs %v", w.members, w.runs)
	}
	m := w.members[id+"/txn:T1/certificate"]
	if m.Origin != event.OriginWebhook || !m.OpenedAt.Equal(start.Add(5*time.Minute)) {
		t.Errorf("member %+v", m)
	}
	outcome(t, w.event(polledFailure("T1", occurred(start))), Confirmed)
	outcome(t, w.event(delivered("T1")), Settled)
	w.want("pager", "resolve")
}

func TestPolling4_ARefinementAlarmsOnlyWhereItIsWorseOrConcernsSomebodyNew(t *testing.T) {
	for _, tt := range []struct {
		name         string
		webhook      happening
		slack, pager string
	}{
		{"no worse, after a quiet time", failed("T1", as(event.Error)), "update", ""},
		{"milder", failed("T1", as(event.Warning)), "update", ""},
		{"worse", failed("T1", as(event.Critical)), "alarm#2 update#2", ""},
		{"a rule that adds a notifier", failed("T1", to("slack", "pager")), "update", "opening"},
		{"unsigned", failed("T1", to("slack", "pager"), but(func(ev *event.Event) { ev.Authentic = false })), "update", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.event(polledFailure("T1", occurred(start), as(event.Error))).Incident
			w.send()
			w.heard("slack")
			w.pass(3 * time.Hour)
			tt.webhook.ev.OccurredAt = start
			outcome(t, w.event(tt.webhook), Refined)
			w.want("slack", tt.slack)
			w.want("pager", tt.pager)
			if inc := w.incidents[id]; inc.Severity < event.Error || inc.Lead.Severity != inc.Severity {
				t.Errorf("severity fell to %v, the lead's to %v", inc.Severity, inc.Lead.Severity)
			}
		})
	}
}

func TestPolling4_InAGroupTheCountsStayTrue(t *testing.T) {
	w := newWorld(t)
	same := decided(func(d *Decision) { d.Key = "shared" })
	type856, type810 := with(event.DocumentType, "856"), with(event.DocumentType, "810")
	id := w.event(polledFailure("T1", same, type856)).Incident
	w.event(polledFailure("T2", same, type856))
	w.event(polledFailure("T3", same, type810))
	w.pass(12 * time.Minute)
	w.event(failed("T2", same, type856, occurred(start), classed(event.Certificate)))
	inc := w.incidents[id]
	if inc.Class != event.UnknownClass {
		t.Errorf("the class follows a member that does not lead: %q", inc.Class)
	}
	if want := []string{"found by polling, no webhook had come: 2 documents", "webhook came 12 min late, polling had found it"}; !slices.Equal(inc.Notes, want) {
		t.Errorf("notes %q, want %q", inc.Notes, want)
	}
	w.event(failed("T1", same, type856, occurred(start), classed(event.Certificate)))
	inc = w.incidents[id]
	if want := []string{"found by polling, no webhook had come: 1 document", "webhooks came late: 2 documents, the last one 12 min"}; !slices.Equal(inc.Notes, want) {
		t.Errorf("notes %q, want %q", inc.Notes, want)
	}
	want := []DocumentCount{{Type: "856", Open: 2, Total: 2}, {Type: "810", Open: 1, Total: 1}}
	if inc.Class != event.Certificate || inc.Total != 3 || inc.OpenMembers() != 3 || !slices.Equal(inc.Documents, want) {
		t.Errorf("incident %+v", inc)
	}
	if open := w.open(); len(open) != 1 || len(w.members) != 3 {
		t.Errorf("open %+v, members %v", open, w.members)
	}
}

func TestPolling4_AMemberThatHadBothClassesIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	same := decided(func(d *Decision) { d.Key = "shared" })
	w.event(failed("T0", same)) // keeps it open
	id := w.event(failed("T1", same)).Incident
	w.pass(time.Minute)
	w.event(delivered("T1"))
	w.pass(time.Minute)
	again := w.now
	outcome(t, w.event(polledFailure("T1", same)), Joined)
	outcome(t, w.event(failed("T1", same, occurred(again))), Refined)
	if inc := w.incidents[id]; inc.Total != 2 || inc.OpenMembers() != 2 || inc.Documents[0].Total != 2 {
		t.Errorf("incident counts %d of %d, documents %+v", inc.OpenMembers(), inc.Total, inc.Documents)
	}
}

func TestPolling4_OtherTypesAreOtherFacts(t *testing.T) {
	w := newWorld(t)
	w.event(polledFailure("T1"))
	outcome(t, w.event(happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), partner("P1"), to("slack"))), Opened)
	outcome(t, w.event(happens("sla.violated", event.Open, event.SLA, about("T1"), partner("P1"), to("slack"))), Raised)
	w.wantOpen(2)
	outcome(t, w.event(failed("T1")), Refined)
	w.wantOpen(2)
	outcome(t, w.event(failed("T1")), Joined) // and a further one is an ordinary one
}

func TestPolling4_ARefinedOpeningThatWaitsIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.event(polledFailure("T1", wait(10*time.Minute), to("slack", "pager")))
	w.pass(time.Minute)
	outcome(t, w.event(failed("T1", wait(10*time.Minute), to("slack", "pager"))), Refined)
	w.want("slack", "")
	w.pass(9 * time.Minute)
	w.want("slack", "opening")
	w.want("pager", "opening")
	if s := w.last("slack").Snapshot; s.Class != event.Connectivity || s.Total != 1 {
		t.Errorf("told %+v", s)
	}
}

func TestPolling4_HoweverLateTheWebhookIs(t *testing.T) {
	w := newWorld(t)
	w.event(polledFailure("T1", occurred(start)))
	w.pass(20 * time.Hour)
	w.heard("slack")
	outcome(t, w.event(failed("T1", occurred(start))), Refined) // not old news
	w.want("slack", "update")
}

func TestPolling5_AWebhookOfWhatPollingToldAndIsOverIsOnlyNoted(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   time.Duration
		want Outcome
	}{
		{"older than the poll's", -time.Minute, Confirmed},
		{"the same", 0, Confirmed},
		{"a newer failure", time.Second, Opened},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(10 * time.Minute)
			id := w.event(polledFailure("T1", occurred(start))).Incident
			w.byHand(id)
			w.heard("slack")
			w.pass(2 * time.Minute)
			d := w.event(failed("T1", occurred(start.Add(tt.at))))
			outcome(t, d, tt.want)
			if tt.want != Confirmed {
				return
			}
			w.want("slack", "")
			lines := w.lines(id, "confirmed")
			if d.Incident != id || len(lines) != 1 || !strings.Contains(lines[0], "its webhook came 1") {
				t.Errorf("incident %q, timeline %q", d.Incident, lines)
			}
		})
	}
}

func TestPolling5_AConfirmationTellsNothingThatCouldMuteAWebhook(t *testing.T) {
	w := newWorld(t)
	w.event(happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), partner("P1"), to("slack")))
	w.pass(time.Minute)
	outcome(t, w.event(polledFailure("T1")), Confirmed)
	w.event(happens("mdn.received", event.Settle, event.UnknownClass, about("T1")))
	w.wantOpen(0)
	outcome(t, w.event(failed("T1", occurred(w.now.Add(-time.Second)))), Opened)
}
