package incident

import (
	"errors"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestRouting17_ClosesUnconfirmedAndTheNextFailureOpensANewOne(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.Repeat = nil })
	first := w.event(failed("T1", to("slack", "pager")))
	w.event(failed("T2"))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.pass(71 * time.Hour)
	w.wantOpen(1)
	w.event(failed("T3"))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.pass(71 * time.Hour)
	w.wantOpen(1)
	w.pass(time.Hour)
	w.wantOpen(0)
	w.want("slack", "resolve#2 update#2")
	w.want("pager", "resolve resolve#2")
	if r := w.last("pager").Snapshot.Resolution; r != Unconfirmed {
		t.Errorf("resolution %q", r)
	}
	next := w.event(failed("T1", to("slack", "pager")))
	outcome(t, next, Opened)
	if next.Incident == first.Incident {
		t.Error("an incident that closed unconfirmed came back")
	}
	w.want("pager", "opening")
}

func TestRouting17_NeverCloses(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.CloseAfter, s.Repeat = event.Never, nil })
	w.event(failed("T1"))
	w.pass(10_000 * time.Hour)
	w.wantOpen(1)
}

func TestRouting17_NobodyHeardOfItThenItIsToldBeforeItCloses(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", wait(time.Minute)))
	w.now = w.now.Add(100 * time.Hour) // the bridge was down
	w.pass(0)
	w.wantOpen(1)
	w.want("slack", "opening")
	w.pass(72 * time.Hour)
	w.wantOpen(0)
}

func TestRouting17_ByHand(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", to("slack", "pager", "hook"))).Incident
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.heard("hook")
	mark := Mark{By: "ana", At: w.now, Why: "on it"}
	p, err := w.m.Acknowledge(w.load(Query{Incidents: []string{id}}), id, mark)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(p)
	w.want("slack", "acknowledged update")
	w.want("pager", "acknowledged")
	w.want("hook", "")
	if _, err = w.m.Acknowledge(w.load(Query{Incidents: []string{id}}), id, mark); !errors.Is(err, ErrTaken) {
		t.Errorf("second acknowledgement: %v", err)
	}
	w.pass(24 * time.Hour)
	w.want("slack", "")
	w.send()
	mark.At = w.now
	p, err = w.m.Resolve(w.load(Query{Incidents: []string{id}}), id, mark)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(p)
	w.want("slack", "resolve update")
	w.want("pager", "resolve")
	w.want("hook", "resolve")
	if s := w.last("slack").Snapshot; s.Resolution != Manual || s.Open != 0 || !strings.Contains(s.Notes[0], "ana: on it") {
		t.Errorf("the end shows %+v", s)
	}
	if e := w.timeline[len(w.timeline)-2]; e.By != "ana" || e.Text != "on it" {
		t.Errorf("timeline says %+v", e)
	}
	if _, err = w.m.Resolve(w.load(Query{Incidents: []string{id}}), id, mark); !errors.Is(err, ErrOver) {
		t.Errorf("second resolve: %v", err)
	}
	if _, err = w.m.Resolve(View{}, "in_none", mark); !errors.Is(err, event.ErrNotFound) {
		t.Errorf("resolve of nothing: %v", err)
	}
}

func TestRouting17_TimesRunFromArrival(t *testing.T) {
	m := &Machine{settings()}
	h := failed("T1", wait(time.Minute), occurred(start.Add(-time.Hour)))
	h.ev.ID, h.ev.ReceivedAt = "ev_1", start
	p := m.Event(Input{Event: h.ev, Decision: h.d, Now: start.Add(10 * time.Second)})
	if inc := p.Incidents[0]; !inc.WaitUntil.Equal(start.Add(time.Minute)) || !inc.CloseAt.Equal(start.Add(72*time.Hour)) {
		t.Errorf("waits until %v, closes at %v", inc.WaitUntil, inc.CloseAt)
	}
}

func TestRouting18_LaterEventsEdit(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager", "hook")))
	w.heard("slack")
	w.heard("pager")
	w.heard("hook")
	for range 5 {
		w.event(failed("T2", to("slack", "pager", "hook")))
	}
	w.want("slack", "update update update update update")
	w.want("pager", "")
	w.want("hook", "")
}

func TestRouting18_FortyFailuresAreOneMessageAndOnePage(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.event(failed("T"+string(rune('A'+i)), to("slack", "pager"), with(event.DocumentType, "856")))
	}
	s := w.last("slack").Snapshot
	if s.Open != 40 || len(s.Members) != 20 || len(s.Documents) != 1 || s.Documents[0].Open != 40 {
		t.Errorf("shows %d open, %d listed, documents %+v", s.Open, len(s.Members), s.Documents)
	}
	if got := w.heard("pager"); got != "opening" {
		t.Errorf("pager heard %q", got)
	}
	w.wantOpen(1)
}

func TestRouting18_AlarmsAnewWhenWorse(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager"), as(event.Warning)))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.event(failed("T2", to("slack", "pager"), as(event.Error)))
	w.want("slack", "alarm#2 update#2")
	w.want("pager", "alarm#2")
	w.send()
	w.event(failed("T3", to("slack", "pager"), as(event.Error)))
	w.want("pager", "")
	w.want("slack", "update#2")
	w.send()
	for _, txn := range []string{"T1", "T2", "T3"} {
		w.event(delivered(txn))
	}
	w.want("pager", "resolve resolve#2")
	w.want("slack", "update#2 update#2 resolve#2 update#2")
}

func TestRouting18_AddedNotifierGetsAnOpening(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack")))
	w.heard("slack")
	w.event(failed("T2", to("slack", "pager")))
	w.want("pager", "opening")
	w.want("slack", "update")
	w.event(failed("T3", to("pager"), as(event.Critical)))
	w.want("pager", "alarm#2")
	w.want("slack", "alarm#2 update#2")
}

func TestRouting18_AlarmsAnewAfterAQuietTime(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager", "hook")))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.heard("hook")
	w.pass(59 * time.Minute)
	w.event(failed("T2"))
	w.want("pager", "")
	w.pass(time.Hour)
	w.event(failed("T3"))
	w.want("pager", "alarm#2")
	w.want("hook", "alarm#2")
	w.want("slack", "update alarm#2 update#2")
}

func TestRouting18_AlarmLiftsTheAcknowledgement(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", to("slack"))).Incident
	acknowledge(t, w, id)
	w.event(failed("T2", to("slack")))
	if w.incidents[id].Acknowledged == nil {
		t.Error("an edit lifted the acknowledgement")
	}
	w.event(failed("T3", to("slack", "pager")))
	if inc := w.incidents[id]; inc.Acknowledged != nil || inc.RepeatAt.IsZero() {
		t.Errorf("acknowledged %v, repeats at %v", inc.Acknowledged, inc.RepeatAt)
	}
}

func acknowledge(t *testing.T, w *world, id string) {
	t.Helper()
	p, err := w.m.Acknowledge(w.load(Query{Incidents: []string{id}}), id, Mark{By: "ana", At: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(p)
}

func TestRouting18_SeverityFallsInSlackAlone(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager"), as(event.Warning)))
	w.event(failed("T2", to("slack", "pager"), as(event.Critical)))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.event(delivered("T2"))
	w.want("pager", "")
	w.want("slack", "update#2")
	if s := w.last("slack").Snapshot.Severity; s != event.Warning {
		t.Errorf("Slack shows %v", s)
	}
	w.event(failed("T3", to("slack", "pager"), as(event.Critical)))
	w.want("pager", "") // it was told of critical already
}

func TestRouting18_ACertificateThresholdTellsOnce(t *testing.T) {
	expiring := func(days float64, s event.Severity) happening {
		return happens("partner.certificate_expiring", event.Open, event.Certificate, partner("P1"), to("slack"), as(s),
			with(event.CertificateID, "C1"), with(event.ThresholdDays, days), with(event.CertificateExpiry, start.Add(500*time.Hour)))
	}
	w := newWorld(t)
	w.event(expiring(14, event.Warning))
	w.want("slack", "opening")
	w.pass(24 * time.Hour)
	w.heard("slack")
	w.event(expiring(14, event.Warning))
	w.want("slack", "update")
	w.event(expiring(7, event.Warning)) // however short ago the last was told
	w.want("slack", "alarm#2 update#2")
	if d := w.last("slack"); d.Snapshot.Lead.Fields[event.ThresholdDays] != 7.0 {
		t.Errorf("the message still tells the threshold of %v days", d.Snapshot.Lead.Fields[event.ThresholdDays])
	}
	w.pass(24 * time.Hour)
	w.heard("slack")
	w.event(expiring(3, event.Error))
	w.want("slack", "alarm#3 update#3")
	other := expiring(30, event.Info)
	other.ev.Fields[event.CertificateID] = "C2"
	w.event(other) // another certificate joins: an edit, and no word instead of the worse one's
	w.want("slack", "update#3")
	if d := w.last("slack"); d.Snapshot.Lead.Fields[event.ThresholdDays] != 3.0 {
		t.Errorf("the message tells the threshold of %v days", d.Snapshot.Lead.Fields[event.ThresholdDays])
	}
	w.pass(100 * time.Hour)
	w.wantOpen(0)
	w.heard("slack")
	outcome(t, w.event(expiring(3, event.Error)), Ignored)
	w.want("slack", "")
	outcome(t, w.event(happens("partner.certificate_expired", event.Open, event.Certificate, partner("P1"), to("slack"),
		as(event.Critical), with(event.CertificateID, "C1"))), Opened)
}

func TestRouting18_TheMessageTellsTheNewestWordOfTheSameThing(t *testing.T) {
	w := newWorld(t)
	of := func(kind string) happening {
		return happens("partner.certificate_"+kind, event.Open, event.Certificate, partner("P1"), to("slack"), with(event.CertificateID, "C1"))
	}
	w.event(of("expiring"))
	w.event(of("expired")) // no worse by the operator's own severities
	w.want("slack", "opening alarm#2 update#2")
	w.event(of("expired"))
	w.want("slack", "update#2")
	w.m.RetryingAttempts = 3
	w.event(retry("T1", 3))
	w.want("slack", "opening")
	w.event(failed("T1")) // given up: "still retrying" is no longer true
	w.want("slack", "update")
	if lead := w.last("slack").Snapshot.Lead; lead.Type != "transaction.failed" {
		t.Errorf("the message tells %s", lead.Type)
	}
}

func TestRouting18_AToldThresholdTakesBackNoResolve(t *testing.T) {
	h := happens("partner.certificate_expiring", event.Open, event.Certificate, partner("P1"), to("slack"),
		with(event.CertificateID, "C1"), with(event.ThresholdDays, 14.0), with(event.CertificateExpiry, start.Add(500*time.Hour)))
	w := newWorld(t)
	id := w.event(h).Incident
	p, err := w.m.Resolve(w.load(Query{Incidents: []string{id}}), id, Mark{By: "ana", At: w.now, Why: "renewal ordered"})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(p)
	w.heard("slack")
	outcome(t, w.event(h), Ignored)
	w.want("slack", "")
	w.wantOpen(0)
}

func TestRouting19_WaitGathers(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack"), wait(30*time.Second)))
	w.pass(10 * time.Second)
	w.event(failed("T2", to("hook"), wait(30*time.Second)))
	w.want("slack", "")
	w.pass(20 * time.Second)
	w.want("slack", "opening")
	w.want("hook", "opening")
	if s := w.last("slack").Snapshot; s.Open != 2 || len(s.Members) != 2 {
		t.Errorf("the opening shows %d open, %d listed", s.Open, len(s.Members))
	}
}

func TestRouting19_WaitEndsEarly(t *testing.T) {
	long := wait(15 * time.Minute)
	due := func(after time.Duration) func(*happening) { return with(event.SLADue, start.Add(after)) }
	for _, tt := range []struct {
		name   string
		first  happening
		second *happening
		want   string
	}{
		{"not by itself", failed("T1", long), nil, ""},
		{"for critical", failed("T1", long, as(event.Critical)), nil, "opening"},
		{"for a deadline within twice the wait", failed("T1", long, due(30*time.Minute)), nil, "opening"},
		{"not for a later one", failed("T1", long, due(31*time.Minute)), nil, ""},
		{"for one that is over", failed("T1", long, due(-time.Minute)), nil, "opening"},
		{"for a critical one that joins", failed("T1", long), ptr(failed("T2", long, as(event.Critical))), "opening"},
		{"for one whose rule does not wait", failed("T1", long), ptr(failed("T2")), "opening"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.event(tt.first)
			if tt.second != nil {
				w.want("slack", "")
				w.event(*tt.second)
			}
			w.want("slack", tt.want)
		})
	}
}

func ptr(h happening) *happening { return &h }

func TestRouting19_OpenedAndResolvedInsideTheWaitIsNotSent(t *testing.T) {
	w := newWorld(t)
	h := failed("T1", to("slack", "pager", "hook"), wait(30*time.Second), decided(func(d *Decision) { d.Group.ResolveWait = time.Hour }))
	id := w.event(h).Incident
	w.pass(20 * time.Second)
	outcome(t, w.event(delivered("T1")), Settled)
	w.pass(10 * time.Hour)
	if len(w.deliveries) != 0 || w.incidents[id].State != Resolved {
		t.Errorf("sent %+v; state %s", w.deliveries, w.incidents[id].State)
	}
	w2 := newWorld(t)
	w2.event(h)
	w2.event(delivered("T1"))
	outcome(t, w2.event(failed("T1", to("slack"), wait(30*time.Second))), Reopened)
	w2.want("slack", "")
	w2.pass(time.Minute)
	w2.want("slack", "opening")
	w2.want("pager", "")
}

func TestRouting19_MaxMembersCapsTheListNotTheCount(t *testing.T) {
	w := newWorld(t)
	few := decided(func(d *Decision) { d.Group.MaxMembers = 2 })
	for i, txn := range []string{"T1", "T2", "T3", "T4"} {
		w.event(failed(txn, few, with(event.SLADue, start.Add(time.Duration(100-i)*time.Hour))))
	}
	s := w.last("slack").Snapshot
	if s.Open != 4 || len(s.Members) != 2 || s.Members[0].Transaction != "T4" || s.Members[1].Transaction != "T3" {
		t.Errorf("open %d, listed %+v", s.Open, s.Members)
	}
}
