package incident

import (
	"slices"
	"testing"
	"time"

	"datasync-bridge/event"
)

func harrowgate() Partner {
	return Partner{
		Environment: event.Production, ID: "P1", Name: "Harrowgate Grocers", Status: "suspended",
		ContactName: "EDI Desk", ContactEmail: "edi-desk@harrowgate.example", ContactPhone: "+1-555-0110", ContactHours: "Mon-Fri",
		FetchedAt: start,
	}
}

func (w *world) knows(p Partner) { w.partners[string(p.Environment)+p.ID] = p }

func TestPolling7_WhatIsKnownOfAPartnerFillsMessagesAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.knows(harrowgate())
	h := failed("T1", with(event.PartnerName, "Harrowgate (as sent)"))
	fields := len(h.ev.Fields)
	w.event(h)
	s := w.last("slack").Snapshot
	for path, want := range map[string]any{
		event.PartnerName: "Harrowgate (as sent)", event.PartnerStatus: "suspended",
		event.ContactName: "EDI Desk", event.ContactEmail: "edi-desk@harrowgate.example",
		event.ContactPhone: "+1-555-0110", event.ContactHours: "Mon-Fri",
	} {
		if s.Lead.Fields[path] != want {
			t.Errorf("%s: %v, want %v", path, s.Lead.Fields[path], want)
		}
	}
	if len(h.ev.Fields) != fields {
		t.Errorf("the event itself was changed: %v", h.ev.Fields)
	}
	if len(w.wanted) != 0 {
		t.Errorf("asks again for %v", w.wanted)
	}
	w.event(failed("T2"))
	if m := w.members["in_0001/txn:T2/connectivity"]; m.Partner != "Harrowgate Grocers" {
		t.Errorf("member of %q", m.Partner)
	}
}

func TestPolling7_ContactsOfTwoPeopleAreNotMixed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sent  func(*happening)
		phone any
	}{
		{"none was sent", func(*happening) {}, "+1-555-0110"},
		{"the same", with(event.ContactName, "EDI Desk"), "+1-555-0110"},
		{"another person", with(event.ContactName, "Ann"), nil},
		{"another address", with(event.ContactEmail, "ann@harrowgate.example"), nil},
	} {
		w := newWorld(t)
		w.knows(harrowgate())
		w.event(failed("T1", tt.sent))
		if got := w.last("slack").Snapshot.Lead.Fields[event.ContactPhone]; got != tt.phone {
			t.Errorf("%s: telephone %v, want %v", tt.name, got, tt.phone)
		}
	}
}

func TestPolling7_AnUnknownPartnerIsAskedFor(t *testing.T) {
	long := string(make([]byte, maxPartnerID+1))
	for _, tt := range []struct {
		name string
		h    happening
		want bool
	}{
		{"a failure", failed("T1"), true},
		{"a note", happens("x.note", event.Note, event.UnknownClass, partner("P1")), true},
		{"not by a recovery", delivered("T1"), false},
		{"not for a stranger", failed("T1", but(func(ev *event.Event) { ev.Authentic = false })), false},
		{"not without an id", failed("T1", partner("")), false},
		{"not by an endless one", failed("T1", partner(long)), false},
		{"not for what could not be mapped", failed("T1", but(func(ev *event.Event) { ev.Quarantine = "x" })), false},
	} {
		w := newWorld(t)
		w.knows(Partner{Environment: event.Sandbox, ID: "P1"})
		w.event(tt.h)
		if got := slices.Equal(w.wanted, []PartnerRef{{event.Production, "P1"}}); got != tt.want {
			t.Errorf("%s: asks for %v", tt.name, w.wanted)
		}
	}
}

func TestPolling7_AnAnswerEditsWhatWasToldWithoutIt(t *testing.T) {
	w := newWorld(t)
	all := to("slack", "pager", "hook")
	id := w.event(failed("T1", all)).Incident
	w.event(failed("T2", all, partner("P2"), decided(func(d *Decision) { d.Key = "another" })))
	waits := w.event(failed("T3", all, wait(time.Hour), decided(func(d *Decision) { d.Key = "waits" }))).Incident
	over := w.event(failed("T4", all, decided(func(d *Decision) { d.Key = "over" }))).Incident
	w.event(delivered("T4"))
	w.send()
	for _, name := range []string{"slack", "pager", "hook"} {
		w.heard(name)
	}
	enrich := func(p Partner) Plan {
		plan := w.m.Enriched(w.load(Query{Incidents: []string{id, "in_0002", waits, over}}), p, w.now)
		w.apply(plan)
		return plan
	}
	plan := enrich(harrowgate())
	w.want("slack", "update")
	w.want("pager", "")
	w.want("hook", "")
	if len(plan.Incidents) != 2 || len(plan.Partners) != 1 || len(plan.Timeline) != 0 {
		t.Errorf("plan %+v", plan)
	}
	s := w.last("slack").Snapshot
	if s.Incident != id || s.Lead.Fields[event.PartnerName] != "Harrowgate Grocers" || s.Members[0].Partner != "Harrowgate Grocers" {
		t.Errorf("shows %+v", s)
	}
	if f := w.incidents["in_0002"].Lead.Fields; f[event.PartnerName] != nil {
		t.Errorf("another partner's incident is told as %v", f)
	}
	if plan := enrich(harrowgate()); len(plan.Incidents) != 0 {
		t.Errorf("changes %d incidents a second time", len(plan.Incidents))
	}
	w.pass(time.Hour)
	if s := w.last("slack").Snapshot; s.Incident != waits || s.Members[0].Partner != "Harrowgate Grocers" {
		t.Errorf("what had waited shows %+v", s)
	}
}

func TestPolling7_WhatNoMessageShowsEditsNothing(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", with(event.PartnerName, "Harrowgate"), with(event.ContactName, "Ann"))).Incident
	w.heard("slack")
	p := harrowgate()
	p.Status = "active"
	w.apply(w.m.Enriched(w.load(Query{Incidents: []string{id}}), p, w.now))
	w.want("slack", "")
	if got := w.incidents[id].Lead.Fields[event.PartnerStatus]; got != "active" {
		t.Errorf("status %v", got)
	}
	other := harrowgate()
	other.Environment = event.Sandbox
	if plan := w.m.Enriched(w.load(Query{Incidents: []string{id}}), other, w.now); len(plan.Incidents) != 0 {
		t.Errorf("a sandbox's partner changes production: %+v", plan.Incidents)
	}
}

func TestWherePartnersAreNotKeptNoneIsWanted(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.WantPartners = false })
	w.event(failed("T1"))
	if len(w.wanted) != 0 {
		t.Errorf("%v is wanted by nobody", w.wanted)
	}
}
