package incident

import (
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

// polledFailure is a failed transaction as a listing shows it.
func polledFailure(txn string, with ...func(*happening)) happening {
	return failed(txn, append([]func(*happening){byPolling, classed(event.UnknownClass)}, with...)...)
}

func byPolling(h *happening) { h.ev.Origin = event.OriginReconcile }

func classed(c event.Class) func(*happening) { return func(h *happening) { h.ev.Class = c } }

func cleared(txn string, with ...func(*happening)) happening {
	return happens("transaction.cleared", event.Settle, event.UnknownClass,
		append([]func(*happening){about(txn), partner("P1"), byPolling}, with...)...)
}

func (w *world) byHand(id string) {
	w.t.Helper()
	p, err := w.m.Resolve(w.load(Query{Incidents: []string{id}}), id, Mark{By: "ana", At: w.now})
	if err != nil {
		w.t.Fatalf("resolve %s: %v", id, err)
	}
	w.apply(p)
}

func (w *world) lines(id, kind string) (list []string) {
	for _, e := range w.timeline {
		if e.Incident == id && e.Kind == kind {
			list = append(list, e.Text)
		}
	}
	return list
}

func TestPolling1_WhatOnlyPollingFoundIsToldAndMarked(t *testing.T) {
	w := newWorld(t)
	same := decided(func(d *Decision) { d.Key = "shared" })
	d := w.event(polledFailure("T1", to("pager", "slack"), same))
	outcome(t, d, Opened)
	w.want("pager", "opening")
	if notes := w.last("slack").Snapshot.Notes; !slices.Equal(notes, []string{"found by polling, no webhook had come: 1 document"}) {
		t.Errorf("notes %q", notes)
	}
	w.event(polledFailure("T2", same))
	w.event(failed("T3", same))
	w.event(polledFailure("T4", same))
	if notes := w.last("slack").Snapshot.Notes; !slices.Equal(notes, []string{"found by polling, no webhook had come: 3 documents"}) {
		t.Errorf("notes %q", notes)
	}
	if lines := w.lines(d.Incident, "opened"); len(lines) != 1 || !strings.HasSuffix(lines[0], "found by polling") {
		t.Errorf("timeline %q", lines)
	}
	for id, want := range map[string]event.Origin{"T1": event.OriginReconcile, "T3": event.OriginWebhook} {
		class := event.UnknownClass
		if id == "T3" {
			class = event.Connectivity
		}
		if got := w.members[d.Incident+"/txn:"+id+"/"+string(class)].Origin; got != want {
			t.Errorf("%s has origin %q, want %q", id, got, want)
		}
	}
	w.event(delivered("T1"))
	w.event(polledFailure("T1", same, occurred(w.now.Add(time.Second))))
	if found := w.incidents[d.Incident].Polling.Found; found > w.incidents[d.Incident].Total {
		t.Errorf("%d documents found of %d", found, w.incidents[d.Incident].Total)
	}
}

func TestPolling1_APolledFailureIsOldNewsDroppedOrOutdatedLikeAnyOther(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first *happening
		event happening
		want  Outcome
	}{
		{"old", nil, polledFailure("T1", occurred(start.Add(-13*time.Hour))), OldNews},
		{"dropped", nil, polledFailure("T1", decided(func(d *Decision) { d.DroppedBy = "rule" })), DroppedBy},
		{"delivered since", ptr(delivered("T1")), polledFailure("T1", occurred(start.Add(-time.Minute))), Outdated},
		{"without a transaction", nil, polledFailure(""), Opened},
	} {
		w := newWorld(t)
		if tt.first != nil {
			w.event(*tt.first)
		}
		w.pass(time.Minute)
		t.Run(tt.name, func(t *testing.T) { outcome(t, w.event(tt.event), tt.want) })
	}
}

func TestPolling2_AnOpenMemberOfAnyClassIsOnlyConfirmed(t *testing.T) {
	for _, class := range []event.Class{event.Connectivity, event.MDNTimeout, event.FunctionalReject, event.SLA, event.UnknownClass} {
		t.Run(string(class), func(t *testing.T) {
			w := newWorld(t)
			id := w.event(happens("x.failed", event.Open, class, about("T1"), partner("P1"), to("slack"), as(event.Warning))).Incident
			w.send()
			w.heard("slack")
			w.pass(2 * time.Hour) // longer than group.interval
			before := w.incidents[id]
			d := w.event(polledFailure("T1", to("pager", "slack"), as(event.Critical), occurred(start.Add(time.Minute)),
				proposing(Run{Workflow: "x", State: RunQueued})))
			outcome(t, d, Confirmed)
			after := w.incidents[id]
			if d.Incident != id || after.Severity != before.Severity || !after.LastOpening.Equal(before.LastOpening) || len(d.Notifiers) > 0 {
				t.Errorf("decision %+v\nincident %+v", d, after)
			}
			if lines := w.lines(id, "confirmed"); !slices.Equal(lines, []string{"txn:T1 still listed as failed by Datasync, found by polling"}) {
				t.Errorf("timeline %q", lines)
			}
			w.want("slack", "")
			w.want("pager", "")
			w.wantOpen(1)
			if len(w.runs) > 0 {
				t.Errorf("runs %+v", w.runs)
			}
		})
	}
}

func TestPolling2_InAnotherEnvironmentItIsAnotherTransaction(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", but(func(ev *event.Event) { ev.Environment = event.Sandbox })))
	outcome(t, w.event(polledFailure("T1")), Opened)
}

func TestPolling2_WhatPollsKeepConfirmingDoesNotCloseAsUnconfirmed(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", occurred(start))).Incident
	for range 5 {
		w.pass(60 * time.Hour)
		outcome(t, w.event(polledFailure("T1", occurred(start))), Confirmed)
	}
	w.wantOpen(1)
	w.pass(73 * time.Hour)
	if inc := w.incidents[id]; inc.Resolution != Unconfirmed {
		t.Errorf("state %q, resolution %q once polls are silent", inc.State, inc.Resolution)
	}
}

func TestPolling2_WhatWasOnlyRetriedIsGivenUpByPolling(t *testing.T) {
	w := newWorld(t, alertAfter(2, 0))
	id := w.event(retry("T1", 2, as(event.Warning))).Incident
	w.want("slack", "opening")
	d := w.event(polledFailure("T1", to("slack"), as(event.Error)))
	outcome(t, d, Joined)
	w.want("slack", "alarm#2 update#2")
	if lead := w.last("slack").Snapshot.Lead; d.Incident != id || lead.Type != typeFailed {
		t.Errorf("%s tells %s", d.Incident, lead.Type)
	}
	w.wantOpen(1)
	outcome(t, w.event(polledFailure("T1")), Confirmed)
}

func TestPolling2_APollVouchesForWhatNothingSigned(t *testing.T) {
	w := newWorld(t)
	unsigned := but(func(ev *event.Event) { ev.Authentic = false })
	id := w.event(failed("T1", to("pager"), unsigned)).Incident
	w.want("pager", "")
	d := w.event(polledFailure("T1", to("pager")))
	outcome(t, d, Joined)
	w.want("pager", "opening")
	if d.Incident != id {
		t.Errorf("joined %s, want %s", d.Incident, id)
	}
	outcome(t, w.event(polledFailure("T1", to("pager"))), Confirmed)
	w.byHand(id)
	w2 := newWorld(t)
	w2.byHand(w2.event(failed("T1", unsigned, occurred(start))).Incident)
	outcome(t, w2.event(polledFailure("T1", to("pager"), occurred(start))), Opened)
}

func TestPolling3_WithinTheOverlapItIsOnlyConfirmed(t *testing.T) {
	minutes := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	for _, tt := range []struct {
		name     string
		overlap  time.Duration
		told     int // minutes at which the webhook's failure happened; it arrives at 60
		between  []happening
		polled   int
		received int
		want     Outcome
	}{
		{"the same moment", 0, 0, nil, 0, 300, Confirmed},
		{"a moment near it", 0, 0, nil, 14, 300, Confirmed},
		{"before it", 0, 30, nil, 16, 300, Confirmed},
		{"near its arrival", 0, 0, nil, 50, 300, Confirmed},
		{"near neither", 0, 0, nil, 30, 300, Opened},
		{"by a longer overlap", 31 * time.Minute, 0, nil, 30, 300, Confirmed},
		{"by a shorter one", time.Minute, 0, nil, 2, 300, Opened},
		{"not after a delivery", 0, 50, []happening{delivered("T1", occurred(minutes(55)))}, 58, 300, Opened},
		{"not after whatever recovery", 0, 50, []happening{
			happens("mdn.received", event.Settle, event.UnknownClass, about("T1"), occurred(minutes(55)))}, 58, 300, Opened},
		{"which is not one of that moment", 0, 50, []happening{
			happens("mdn.received", event.Settle, event.UnknownClass, about("T1"), occurred(minutes(55)))}, 50, 300, Confirmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(s *Settings) { s.Overlap = tt.overlap })
			w.pass(60 * time.Minute)
			id := w.event(failed("T1", occurred(minutes(tt.told)))).Incident
			w.byHand(id)
			for _, h := range tt.between {
				w.event(h)
			}
			w.pass(time.Duration(tt.received-60) * time.Minute)
			w.heard("slack")
			d := w.event(polledFailure("T1", occurred(minutes(tt.polled))))
			outcome(t, d, tt.want)
			if tt.want != Confirmed {
				return
			}
			w.want("slack", "")
			w.wantOpen(0)
			if lines := w.lines(id, "confirmed"); d.Incident != id || len(lines) != 1 {
				t.Errorf("incident %q, timeline %q", d.Incident, lines)
			}
		})
	}
}

func TestPolling3_NoFailureIsMutedByADeadlineOrAnOverdueAcknowledgment(t *testing.T) {
	for _, class := range []event.Class{event.SLA, event.AckOverdue, event.AutomationFault} {
		w := newWorld(t)
		w.byHand(w.event(happens("x", event.Open, class, about("T1"), partner("P1"), to("slack"))).Incident)
		outcome(t, w.event(polledFailure("T1")), Opened)
	}
}

func TestPolling3_APollConfirmsWhatAPollTold(t *testing.T) {
	w := newWorld(t)
	id := w.event(polledFailure("T1", occurred(start))).Incident
	w.byHand(id)
	w.pass(10 * time.Hour)
	d := w.event(polledFailure("T1", occurred(start)))
	outcome(t, d, Confirmed)
	if d.Incident != id {
		t.Errorf("noted on %q, want %q", d.Incident, id)
	}
}

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
			if s := w.incidents[id].Severity; s < event.Error {
				t.Errorf("severity fell to %v", s)
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

func TestPolling6_NoLongerListedSettlesDeliveriesAlone(t *testing.T) {
	for class, want := range map[event.Class]Outcome{
		event.Connectivity: Settled, event.Authentication: Settled, event.Certificate: Settled, event.Configuration: Settled,
		event.Integrity: Settled, event.PartnerFault: Settled, event.Validation: Settled, event.MappingFault: Settled,
		event.Storage: Settled, event.Platform: Settled, event.UnknownClass: Settled,
		event.MDNTimeout: Unfitting, event.MDNNegative: Unfitting, event.FunctionalReject: Unfitting,
		event.AckOverdue: Unfitting, event.SLA: Unfitting, event.AutomationFault: Unfitting, event.BridgeClass: Unfitting,
	} {
		settling{string(class), happens("x.failed", event.Open, class, about("T1"), partner("P1"), to("slack")), cleared("T1"), want}.run(t)
	}
	message := with(event.MessageID, "<m>")
	settling{"by transaction alone", failed("", message), cleared("T1", message), Unfitting}.run(t)
	w := newWorld(t)
	w.event(cleared("T1", message))
	outcome(t, w.event(failed("", message, occurred(start.Add(-time.Minute)))), Opened)
	outcome(t, w.event(failed("T1", occurred(start.Add(-time.Minute)))), Outdated)
}

func TestPolling6_TheEndCountsWhoseDeliveryNobodyReported(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1")).Incident
	w.event(failed("T2"))
	w.pass(time.Minute)
	w.event(cleared("T1"))
	if n := w.incidents[id].Polling.Cleared; n != 1 {
		t.Errorf("%d cleared", n)
	}
	w.event(delivered("T2"))
	if s := w.last("slack").Snapshot; s.State != Resolved || s.Polling.Cleared != 1 || s.Total != 2 {
		t.Errorf("the end shows %+v", s)
	}
	w.pass(time.Minute)
	outcome(t, w.event(failed("T1")), Reopened)
	w.event(failed("T2"))
	if n := w.incidents[id].Polling.Cleared; n != 0 {
		t.Errorf("%d cleared, and all are open", n)
	}
}

func TestPolling6_WhatIsListedAgainWasNotOver(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", occurred(start), classed(event.UnknownClass))).Incident
	w.pass(20 * time.Minute)
	outcome(t, w.event(cleared("T1")), Settled)
	w.pass(5 * time.Minute)
	d := w.event(polledFailure("T1", occurred(start)))
	outcome(t, d, Reopened)
	if d.Incident != id {
		t.Errorf("reopened %s, want %s", d.Incident, id)
	}
	w.event(delivered("T1"))
	w.pass(5 * time.Minute)
	outcome(t, w.event(polledFailure("T1", occurred(start))), Outdated) // a delivery was reported
}

func TestPolling8_AThresholdTellsOnceWhicheverWayItIsFound(t *testing.T) {
	expiry := start.Add(500 * time.Hour)
	expiring := func(id string, notAfter time.Time, with_ ...func(*happening)) happening {
		return happens("partner.certificate_expiring", event.Open, event.Certificate, append([]func(*happening){
			partner("P1"), to("slack"), as(event.Warning), with(event.CertificateID, id), with(event.ThresholdDays, 14.0),
			with(event.CertificateExpiry, notAfter), occurred(start.Add(-20 * time.Hour))}, with_...)...)
	}
	for _, first := range []event.Origin{event.OriginWebhook, event.OriginReconcile} {
		second := event.OriginReconcile
		if first == second {
			second = event.OriginWebhook
		}
		from := func(o event.Origin) func(*happening) {
			return func(h *happening) { h.ev.Origin = o }
		}
		w := newWorld(t)
		d := w.event(expiring("C1", expiry, from(first)))
		outcome(t, d, Opened)
		w.want("slack", "opening")
		w.pass(3 * time.Hour)
		zone := time.FixedZone("CT", -6*3600)
		outcome(t, w.event(expiring("C1", expiry.In(zone).Add(300*time.Millisecond), from(second))), Joined)
		w.want("slack", "update")
		if inc := w.incidents[d.Incident]; inc.Total != 1 || len(inc.Notes) != 0 {
			t.Errorf("counts %d members, notes %q", inc.Total, inc.Notes)
		}
		w.byHand(d.Incident)
		w.heard("slack")
		outcome(t, w.event(expiring("C1", expiry, from(second))), Ignored)
		w.want("slack", "")
	}
}
