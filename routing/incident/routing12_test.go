package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestRouting12_OneKeyIsOneIncident(t *testing.T) {
	w := newWorld(t)
	outcome(t, w.event(failed("T1")), Opened)
	outcome(t, w.event(failed("T2")), Joined)
	outcome(t, w.event(failed("T3", partner("P2"))), Opened)
	outcome(t, w.event(failed("T4", but(func(ev *event.Event) { ev.Environment = event.Sandbox }))), Opened)
	w.wantOpen(3)
}

func TestRouting12_NoKeyIsAnIncidentOfItsOwn(t *testing.T) {
	m := &Machine{settings()}
	ev := event.Event{ID: "ev_1", Environment: event.Production, Effect: event.Open, Class: event.UnknownClass, Authentic: true}
	p := m.Event(Input{Event: ev, Now: start})
	other := ev
	other.ID = "ev_2"
	q := m.Event(Input{Event: other, Now: start})
	if p.Incidents[0].Key == q.Incidents[0].Key || p.Incidents[0].ID != "in_1" {
		t.Errorf("incidents %+v and %+v share a key", p.Incidents[0], q.Incidents[0])
	}
}

func TestRouting12_OpenMemberKeepsItsIncidentWhateverTheKeySays(t *testing.T) {
	w := newWorld(t)
	first := w.event(failed("T1"))
	again := w.event(failed("T1", decided(func(d *Decision) { d.Key = "after a reload" })))
	outcome(t, again, Joined)
	if again.Incident != first.Incident {
		t.Errorf("joined %s, want %s", again.Incident, first.Incident)
	}
	if inc := w.incidents[first.Incident]; inc.Total != 1 {
		t.Errorf("counts %d members, want 1", inc.Total)
	}
	w.event(happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), partner("P1"), to("slack")))
	w.wantOpen(2)
}

func TestRouting13_Member(t *testing.T) {
	fields := map[string]any{
		event.TransactionID: "T", event.CertificateID: "C", event.PartnerID: "P", event.Protocol: "sftp",
		event.RunID: "R", event.MessageID: "<m>", event.OriginalMessageID: "<o>",
	}
	for _, tt := range []struct {
		name, eventType, without, want string
	}{
		{"transaction first", "partner.connection_failed", "", "txn:T"},
		{"then certificate", "partner.connection_failed", event.TransactionID, "cert:C"},
		{"then the connection", "partner.connection_failed", event.TransactionID + event.CertificateID, "conn:P|SFTP"},
		{"which other types are not about", "mdn.timeout", event.TransactionID + event.CertificateID, "run:R"},
		{"then the message", "transaction.failed", event.TransactionID + event.CertificateID + event.RunID, "msg:<m>"},
		{"on an MDN the original one", "mdn.received", event.TransactionID + event.CertificateID + event.RunID, "msg:<o>"},
		{"which may be named so elsewhere", "mdn.failed", event.TransactionID + event.CertificateID + event.RunID + event.OriginalMessageID, "msg:<m>"},
		{"then the event", "x", event.TransactionID + event.CertificateID + event.RunID + event.MessageID + event.OriginalMessageID, "ev:ev_1"},
	} {
		ev := event.Event{ID: "ev_1", Type: tt.eventType, Fields: map[string]any{}}
		for path, v := range fields {
			if !strings.Contains(tt.without, path) {
				ev.Fields[path] = v
			}
		}
		if got := memberID(ev); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRouting13_HandlesAreBoundedAndCannotForgeEachOther(t *testing.T) {
	if a, b := handle("conn", "P|AS2", ""), handle("conn", "P", "AS2|"); a == b {
		t.Errorf("two partners share %q", a)
	}
	long := handle("txn", strings.Repeat("x", 10_000))
	if len(long) > maxHandle || long == handle("txn", strings.Repeat("x", 9_999)) {
		t.Errorf("long handle %q", long)
	}
}

// settling is one row: a failure, a recovery, and whether one ends the other.
type settling struct {
	name     string
	failure  happening
	recovery happening
	want     Outcome
}

func (tt settling) run(t *testing.T) {
	t.Run(tt.name, func(t *testing.T) {
		w := newWorld(t)
		outcome(t, w.event(tt.failure), Opened)
		w.pass(time.Minute)
		outcome(t, w.event(tt.recovery), tt.want)
		w.wantOpen(map[Outcome]int{Settled: 0, Unfitting: 1}[tt.want])
	})
}

func TestRouting14_WhatSettlesWhat(t *testing.T) {
	opens := func(eventType string, class event.Class, with ...func(*happening)) happening {
		return happens(eventType, event.Open, class, append([]func(*happening){partner("P1"), to("slack")}, with...)...)
	}
	settles := func(eventType string, with ...func(*happening)) happening {
		return happens(eventType, event.Settle, event.UnknownClass, append([]func(*happening){partner("P1")}, with...)...)
	}
	txn := about("T1")
	for _, class := range []event.Class{
		event.Connectivity, event.Authentication, event.MDNTimeout, event.MDNNegative, event.SLA,
		event.AutomationFault, event.UnknownClass, event.FunctionalReject, event.AckOverdue,
	} {
		ends := map[string]bool{
			"transaction.delivered":   class != event.FunctionalReject && class != event.AckOverdue,
			"mdn.received":            class == event.MDNTimeout || class == event.MDNNegative,
			"acknowledgment.received": class == event.FunctionalReject || class == event.AckOverdue || class == event.MDNTimeout,
			"automation.completed":    class == event.AutomationFault,
			"custom.recovered":        class != event.FunctionalReject && class != event.AckOverdue,
		}
		for recovery, yes := range ends {
			want := Unfitting
			if yes {
				want = Settled
			}
			settling{recovery + " and " + string(class), opens("x.failed", class, txn), settles(recovery, txn), want}.run(t)
		}
	}
	cert := with(event.CertificateID, "C1")
	connection := with(event.Protocol, "sftp")
	for _, tt := range []settling{
		{"a certificate", opens("partner.certificate_expired", event.Certificate, cert), settles("partner.certificate_updated", cert), Settled},
		{"another certificate", opens("partner.certificate_expired", event.Certificate, cert),
			settles("partner.certificate_updated", with(event.CertificateID, "C2")), Unfitting},
		{"a certificate's transactions settle themselves", opens("mdn.failed", event.Certificate, txn, cert),
			settles("partner.certificate_updated", cert), Unfitting},
		{"a connection, however it is spelled", opens("partner.connection_failed", event.Authentication, connection),
			settles("partner.connection_restored", with(event.Protocol, "SFTP")), Settled},
		{"another connection of the partner", opens("partner.connection_failed", event.Authentication, connection),
			settles("partner.connection_restored", with(event.Protocol, "AS2")), Unfitting},
		{"not the transactions behind it", opens("transaction.failed", event.Connectivity, txn, connection),
			settles("partner.connection_restored", connection), Unfitting},
		{"a run", opens("automation.failed", event.AutomationFault, with(event.RunID, "R1")),
			settles("automation.completed", with(event.RunID, "R1")), Settled},
	} {
		tt.run(t)
	}
}

func TestRouting14_HowItIsFound(t *testing.T) {
	icn := func(number, group, set string) func(*happening) {
		return func(h *happening) {
			h.ev.Fields[event.Direction], h.ev.Fields[event.DocumentType] = "outbound", "856"
			for path, v := range map[string]string{event.Interchange: number, event.FunctionalGroup: group, event.TransactionSet: set} {
				if v != "" {
					h.ev.Fields[path] = v
				}
			}
		}
	}
	msg := func(id string) func(*happening) { return with(event.MessageID, id) }
	mdn := func(with ...func(*happening)) happening {
		return happens("mdn.received", event.Settle, event.UnknownClass, append([]func(*happening){partner("P1")}, with...)...)
	}
	timeout := func(with ...func(*happening)) happening {
		return happens("mdn.timeout", event.Open, event.MDNTimeout, append([]func(*happening){partner("P1"), to("slack")}, with...)...)
	}
	for _, tt := range []settling{
		{"by message, named by the MDN as the original", timeout(msg("<m>")), mdn(with(event.OriginalMessageID, "<m>")), Settled},
		{"by message, where the recovery has no transaction", timeout(about("T1"), msg("<m>")), mdn(with(event.OriginalMessageID, "<m>")), Settled},
		{"not by another message", timeout(msg("<m>")), mdn(with(event.OriginalMessageID, "<n>")), Unfitting},
		{"not another transaction of the same message", timeout(about("T1"), msg("<m>")), mdn(about("T2"), msg("<m>")), Unfitting},
		{"by interchange", failed("", icn("1", "", "")), delivered("", icn("1", "", "")), Settled},
		{"sets compared where both have them", failed("", icn("1", "1", "1")), delivered("", icn("1", "1", "2")), Unfitting},
		{"groups too", failed("", icn("1", "1", "1")), delivered("", icn("1", "2", "1")), Unfitting},
		{"not where one has none", failed("", icn("1", "1", "1")), delivered("", icn("1", "", "")), Settled},
		{"never by set alone", failed("", icn("", "1", "1")), delivered("", icn("", "1", "1")), Unfitting},
		{"another interchange", failed("", icn("1", "", "")), delivered("", icn("2", "", "")), Unfitting},
		{"another partner", failed("", icn("1", "", "")), delivered("", icn("1", "", ""), partner("P2")), Unfitting},
		{"sent again under a new id", failed("T1", icn("1", "1", "1")), delivered("T2", icn("1", "1", "1")), Settled},
		{"another document of the interchange", failed("T1", icn("1", "", "")), delivered("T2", icn("1", "", "")), Unfitting},
		{"the same transaction, renumbered", failed("T1", icn("1", "1", "1")), delivered("T1", icn("2", "2", "2")), Settled},
		{"in one environment only", failed("T1"), delivered("T1", but(func(ev *event.Event) { ev.Environment = event.Sandbox })), Unfitting},
	} {
		tt.run(t)
	}
}

func TestRouting14_ResolvesWithItsLastMemberOnly(t *testing.T) {
	w := newWorld(t)
	for _, txn := range []string{"T1", "T2", "T3"} {
		w.event(failed(txn, to("slack", "pager")))
	}
	w.want("pager", "opening")
	w.send()
	w.event(delivered("T1"))
	w.event(delivered("T3"))
	w.want("pager", "")
	w.wantOpen(1)
	w.event(delivered("T2"))
	w.want("pager", "resolve")
	w.wantOpen(0)
	if s := w.last("pager").Snapshot; s.State != Resolved || s.Resolution != Recovered || s.Open != 0 || s.Total != 3 {
		t.Errorf("the end shows %+v", s)
	}
}

func TestRouting14_DeliverySettlesEveryClassAtOnce(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1"))
	w.event(happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), partner("P1"), to("slack")))
	w.event(happens("transaction.rejected", event.Open, event.FunctionalReject, about("T1"), partner("P1"), to("slack")))
	w.wantOpen(3)
	w.event(delivered("T1"))
	if open := w.open(); len(open) != 1 || open[0].Class != event.FunctionalReject {
		t.Errorf("left open: %+v", open)
	}
}

func TestRouting14_RestoredConnectionIsNotedOnItsPartnersTransactions(t *testing.T) {
	restored := happens("partner.connection_restored", event.Settle, event.UnknownClass, partner("P1"), with(event.Protocol, "AS2"))
	w := newWorld(t)
	id := w.event(failed("T1")).Incident
	w.event(failed("T2"))
	w.event(failed("T3"))
	w.event(delivered("T1")) // the member that answered for the partner is gone
	w.event(delivered("T3"))
	w.send()
	w.heard("slack")
	w.event(restored)
	if notes := w.incidents[id].Notes; len(notes) != 1 || !strings.Contains(notes[0], "AS2 connection was restored") {
		t.Errorf("notes %q", notes)
	}
	w.want("slack", "update")
	w.event(delivered("T2"))
	w.heard("slack")
	w.pass(time.Minute)
	w.event(failed("T4")) // reopens
	w.event(restored)
	if notes := w.incidents[id].Notes; len(notes) != 2 {
		t.Errorf("notes %q after the reopening", notes)
	}
}

func TestRouting14_AConnectionIsOneOfAProtocolUnlessOneSideNamesNone(t *testing.T) {
	of := func(kind, protocol string) happening {
		effect, class := event.Open, event.Connectivity
		if kind == "restored" {
			effect, class = event.Settle, event.UnknownClass
		}
		h := happens("partner.connection_"+kind, effect, class, partner("P1"), to("slack"))
		if protocol != "" {
			h.ev.Fields[event.Protocol] = protocol
		}
		return h
	}
	for _, tt := range []struct {
		failed, restored string
		open             int
	}{
		{"AS2", "as2", 0}, {"AS2", "SFTP", 1}, {"AS2", "", 0}, {"", "AS2", 0}, {"", "", 0},
	} {
		w := newWorld(t)
		w.event(failed("T1")) // so that the connection's member is not the incident's first
		w.event(of("failed", tt.failed))
		w.event(of("restored", tt.restored))
		w.event(delivered("T1"))
		if got := len(w.open()); got != tt.open {
			t.Errorf("%q down, %q up: %d incidents are open, want %d", tt.failed, tt.restored, got, tt.open)
		}
		late := newWorld(t)
		late.event(of("restored", tt.restored))
		late.now = late.now.Add(time.Minute)
		before := of("failed", tt.failed)
		before.ev.OccurredAt = start.Add(-time.Minute)
		late.event(before) // routing rule 15
		if got := len(late.open()); got != tt.open {
			t.Errorf("%q up, %q down before: %d incidents are open, want %d", tt.restored, tt.failed, got, tt.open)
		}
	}
}

func TestRouting15_OlderFailureOpensNothing(t *testing.T) {
	at := func(minutes int) func(*happening) { return occurred(start.Add(time.Duration(minutes) * time.Minute)) }
	for _, tt := range []struct {
		name     string
		recovery happening
		failure  happening
		want     Outcome
	}{
		{"older", delivered("T1", at(10)), failed("T1", at(9)), Outdated},
		{"newer", delivered("T1", at(10)), failed("T1", at(11)), Opened},
		{"equal: arrival decides", delivered("T1", at(10)), failed("T1", at(10)), Opened},
		{"another transaction", delivered("T1", at(10)), failed("T2", at(9)), Opened},
		{"a class it does not settle", delivered("T1", at(10)),
			happens("acknowledgment.overdue", event.Open, event.AckOverdue, about("T1"), to("slack"), at(9)), Opened},
		{"by message, where one side has no transaction",
			happens("mdn.received", event.Settle, event.UnknownClass, with(event.OriginalMessageID, "<m>"), at(10)),
			happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), with(event.MessageID, "<m>"), to("slack"), at(9)), Outdated},
		{"not by the message of another transaction",
			happens("mdn.received", event.Settle, event.UnknownClass, about("T2"), with(event.OriginalMessageID, "<m>"), at(10)),
			happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), with(event.MessageID, "<m>"), to("slack"), at(9)), Opened},
		{"another environment", delivered("T1", at(10), but(func(ev *event.Event) { ev.Environment = event.Sandbox })),
			failed("T1", at(9)), Opened},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(20 * time.Minute)
			outcome(t, w.event(tt.recovery), Unfitting)
			w.pass(time.Minute)
			outcome(t, w.event(tt.failure), tt.want)
		})
	}
}

func TestRouting15_OlderRecoveryDoesNotSettleANewerFailure(t *testing.T) {
	w := newWorld(t)
	w.pass(20 * time.Minute)
	w.event(failed("T1"))
	w.pass(time.Minute)
	outcome(t, w.event(delivered("T1", occurred(start.Add(19*time.Minute)))), Unfitting)
	w.wantOpen(1)
	outcome(t, w.event(delivered("T1", occurred(start.Add(20*time.Minute)))), Settled)
	w.wantOpen(0)
}

func TestRouting16_OldNewsIsSummarised(t *testing.T) {
	w := newWorld(t)
	run := proposing(Run{Workflow: "x", State: RunQueued})
	old := occurred(start.Add(-13 * time.Hour))
	outcome(t, w.event(failed("T1", to("pager"), as(event.Critical), old, run)), OldNews)
	w.event(failed("T2", to("pager"), old))
	w.want("slack", "notice")
	w.want("pager", "")
	w.wantOpen(0)
	if len(w.runs) != 0 {
		t.Errorf("runs %+v", w.runs)
	}
	w.pass(time.Hour)
	w.want("slack", "notice")
	due := with(event.SLADue, w.now.Add(time.Hour))
	outcome(t, w.event(failed("T3", to("pager"), old, due)), Opened)
	w.want("pager", "opening")
	outcome(t, w.event(failed("T4", partner("P4"), occurred(w.now.Add(-11*time.Hour)))), Opened)
}

func TestRouting16_NeverMeansNothingIsOldNews(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.StaleAfter = event.Never })
	outcome(t, w.event(failed("T1", occurred(start.Add(-1000*time.Hour)))), Opened)
}

func TestRouting16_WhatWasAcceptedInTimeAlarmsHoweverLateItIsPlanned(t *testing.T) {
	m := &Machine{settings()}
	h := failed("T1", occurred(start))
	h.ev.ID, h.ev.ReceivedAt = "ev_1", start.Add(time.Minute)
	p := m.Event(Input{Event: h.ev, Decision: h.d, Now: start.Add(20 * time.Hour)})
	outcome(t, *p.Decision, Opened)
}

func TestRouting14_OneMemberOfAnIncidentAnswersForItsPartner(t *testing.T) {
	w := newWorld(t)
	for _, txn := range []string{"T1", "T2", "T3"} {
		w.event(failed(txn))
	}
	if v := w.load(Query{Environment: event.Production, Handles: []string{"partner:P1"}}); len(v.Matched) != 1 {
		t.Errorf("%d members would crowd out what a restored connection has to find", len(v.Matched))
	}
}

func TestRouting15_ALaterRetryIsNoRecovery(t *testing.T) {
	w := newWorld(t, alertAfter(0, 30*time.Minute))
	w.pass(20 * time.Minute)
	w.event(retry("T1", 2, occurred(start.Add(10*time.Minute))))
	outcome(t, w.event(failed("T1", occurred(start.Add(9*time.Minute)))), Opened)
}
