package incident

import (
	"cmp"
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
	if notes := w.incidents[id].Notes; len(notes) != 0 {
		t.Errorf("notes %q, and a webhook had told of it", notes)
	}
}

func TestPolling2_ARetryThatLeadsSpeaksForItsOwnTransaction(t *testing.T) {
	w := newWorld(t, alertAfter(2, 0))
	w.event(retry("T1", 2, as(event.Error)))
	outcome(t, w.event(failed("T2", as(event.Warning))), Joined)
	outcome(t, w.event(polledFailure("T2")), Confirmed)
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
	outcome(t, w.event(failed("T1", unsigned)), Joined) // takes nothing back
	outcome(t, w.event(polledFailure("T1", to("pager"))), Confirmed)
	w.byHand(id)
	w2 := newWorld(t)
	w2.byHand(w2.event(failed("T1", unsigned, occurred(start))).Incident)
	outcome(t, w2.event(polledFailure("T1", to("pager"), occurred(start))), Opened)
}

func TestPolling3_WhereNothingPollsFailuresLeaveNoMark(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.Overlap = 0 })
	w.event(failed("T1"))
	if len(w.recoveries) != 0 {
		t.Errorf("marks %v are written for nobody", w.recoveries)
	}
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
			w := newWorld(t, func(s *Settings) { s.Overlap = cmp.Or(tt.overlap, s.Overlap) })
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
