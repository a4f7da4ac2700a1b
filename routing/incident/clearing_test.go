package incident

import (
	"testing"
	"time"

	"datasync-bridge/event"
)

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

func TestPolling6_AListingThatWasReadBeforeSaysNothingAgainst(t *testing.T) {
	w := newWorld(t)
	h := polledFailure("T1", occurred(start))
	h.ev.ID, h.ev.ReceivedAt = "ev_1", start.Add(time.Minute)
	gone := Recovery{
		Environment: event.Production, Handle: "txn:T1", Type: typeCleared,
		OccurredAt: start.Add(2 * time.Minute), ReceivedAt: start.Add(2 * time.Minute),
	}
	p := w.m.Event(Input{Event: h.ev, Decision: h.d, View: View{Recoveries: []Recovery{gone}}, Now: start.Add(3 * time.Minute)})
	outcome(t, *p.Decision, Outdated)
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
