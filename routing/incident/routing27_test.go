package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func (w *world) states(name string) string {
	var list []string
	for _, d := range w.deliveries {
		if d.Notifier == name {
			list = append(list, string(d.Kind)+":"+string(d.State))
		}
	}
	return strings.Join(list, " ")
}

func TestRouting27_WhatWasNeverAttemptedWhenItResolves(t *testing.T) {
	for _, tt := range []struct {
		name, notifier string
		before         func(w *world)
		want           string
	}{
		{"a pager's opening is dropped", "pager", nil, "opening:dropped"},
		{"and its end sent if it may have arrived", "pager",
			func(w *world) { w.attempt("pager") }, "opening:waiting resolve:waiting"},
		{"each alarm by itself", "pager", func(w *world) {
			w.send()
			w.event(failed("T1", to("pager"), as(event.Critical)))
		}, "opening:sent alarm:dropped resolve:waiting"},
		{"Slack gets one message that says both", "slack", nil, "opening:dropped resolve:waiting"},
		{"or both", "slack", func(w *world) { w.attempt("slack") }, "opening:waiting resolve:waiting update:waiting"},
		{"an incoming webhook too", "hook", nil, "opening:dropped resolve:waiting"},
		{"edits and reminders are dropped", "slack", func(w *world) {
			w.send()
			w.event(failed("T2"))
			w.pass(4 * time.Hour)
		}, "opening:sent update:superseded reminder:dropped update:dropped resolve:waiting update:waiting"},
		{"an acknowledgement too", "pager", func(w *world) {
			w.send()
			for id := range w.incidents {
				p, err := w.m.Acknowledge(w.load(Query{Incidents: []string{id}}), id, Mark{At: w.now})
				if err != nil {
					w.t.Fatalf("acknowledge: %v", err)
				}
				w.apply(p)
			}
		}, "opening:sent acknowledged:dropped resolve:waiting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.event(failed("T1", to("slack", "pager", "hook")))
			if tt.before != nil {
				tt.before(w)
			}
			for _, txn := range []string{"T1", "T2"} {
				w.event(delivered(txn))
			}
			w.wantOpen(0)
			if got := w.states(tt.notifier); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.notifier, got, tt.want)
			}
		})
	}
}

func TestRouting27_APagerThatNeverHeardGetsAnOpeningWhenItComesBack(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("pager")))
	w.event(delivered("T1"))
	outcome(t, w.event(failed("T1", to("pager"))), Reopened)
	if got := w.states("pager"); got != "opening:dropped opening:waiting" {
		t.Errorf("pager: %s", got)
	}
}

func TestRouting27_AReopeningNobodySawNeedsNoSecondEnd(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("pager")))
	w.send()
	w.event(delivered("T1"))
	w.event(failed("T1", to("pager")))
	w.event(delivered("T1"))
	if got := w.states("pager"); got != "opening:sent resolve:waiting reopened:dropped" {
		t.Errorf("pager: %s", got)
	}
}

func TestRouting27_AnEndWhoseOpeningWasTurnedAwayGoesWithIt(t *testing.T) {
	for _, notifier := range []string{"pager", "slack", "hook"} {
		w := newWorld(t)
		w.event(failed("T1", to(notifier)))
		opening := &w.deliveries[0]
		opening.State = Sending
		w.event(delivered("T1"))
		opening = &w.deliveries[0]
		opening.State = Waiting // a 429: that was no attempt
		w.event(failed("T1", to(notifier)))
		w.event(delivered("T1"))
		w.send(notifier)
		want := 1 // message that says both
		if notifier == "pager" {
			want = 0
		}
		if got := w.states(notifier); strings.Count(got, ":sent") != want {
			t.Errorf("%s was sent of what it never heard: %s", notifier, got)
		}
	}
}

func TestRouting27_OrderIsTheIncidentKeysAndTheSnapshotIsKept(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", with(event.PONumber, "PO-1"))).Incident
	d := w.last("slack")
	if d.Order != w.incidents[id].Key || d.Destination != "C1" || d.Snapshot.Members[0].Reference != "PO-1" {
		t.Errorf("delivery %+v", d)
	}
	w.event(failed("T2"))
	if s := w.deliveries[0].Snapshot; s.Open != 1 || len(s.Members) != 1 {
		t.Errorf("the opening's snapshot changed to %+v", s)
	}
}

func TestRouting29_FallbackSaysNotPaged(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("pager")))
	w.attempt("pager")
	w.pass(179 * time.Second)
	w.want("slack", "")
	w.pass(time.Second)
	w.want("slack", "fallback")
	if text := w.last("slack").Text; text != "NOT PAGED: PagerDuty did not accept: no answer" {
		t.Errorf("text %q", text)
	}
	if !w.last("slack").FallbackAt.IsZero() {
		t.Error("a fallback has a fallback")
	}
	w.send()
	w.event(failed("T2", to("pager")))
	w.want("slack", "update")
	w.event(delivered("T1"))
	w.event(delivered("T2"))
	w.want("slack", "update resolve update")
	w.want("pager", "opening resolve")
}

func TestRouting29_FallbackPostsWhereTheIncidentIsKnown(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager")))
	w.send("slack")
	w.heard("slack")
	w.pass(3 * time.Minute)
	w.want("slack", "fallback")
	w.pass(time.Hour)
	w.want("slack", "")
}

func TestRouting29_NoFallbackForWhatWasAcceptedOrIsOver(t *testing.T) {
	for name, after := range map[string]func(w *world){
		"accepted": func(w *world) { w.send() },
		"over":     func(w *world) { w.attempt("pager"); w.event(delivered("T1")) },
		"dropped":  func(w *world) { w.event(delivered("T1")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.event(failed("T1", to("pager")))
			after(w)
			w.pass(10 * time.Minute)
			w.want("slack", "")
		})
	}
}

func TestRouting29_FallbackToAPagerRings(t *testing.T) {
	w := newWorld(t, func(s *Settings) {
		p := s.Notifiers["pager"]
		p.FallbackTo = "lead"
		s.Notifiers["pager"] = p
	})
	w.event(failed("T1", to("pager", "lead")))
	w.send("lead")
	w.pass(3 * time.Minute)
	w.want("lead", "opening fallback#2")
	w.send()
	w.event(delivered("T1"))
	w.want("lead", "resolve resolve#2")
}

func TestRouting32_RepliesOnlyWhereThereIsAThread(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", to("slack", "hook", "pager"))).Incident
	w.send()
	w.heard("slack")
	w.event(failed("T2"))
	w.want("slack", "update") // a member that joins is no reply
	w.apply(w.m.RunChanged(w.load(Query{Incidents: []string{id}}), Run{ID: "rn_1", Incident: id, Workflow: "resend_status", State: RunDone, RequestID: "req_1"}, w.now))
	w.want("slack", "run")
	if text := w.last("slack").Text; text != "resend_status was accepted by Datasync · request id req_1" {
		t.Errorf("text %q", text)
	}
	w.want("hook", "opening")
	w.want("pager", "opening")
}

func run(state RunState) Run { return Run{Workflow: "resend_status", State: state, Why: "because"} }

func TestRouting33_RunsArePlannedWithTheIncident(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", proposing(run(RunQueued), run(RunDry), run(RunRefused)))).Incident
	if len(w.runs) != 3 || w.runs[0].Incident != id || w.runs[0].Event != "ev_0001" || w.runs[0].CreatedAt.IsZero() {
		t.Fatalf("runs %+v", w.runs)
	}
	notes := []string{
		"resend_status will be run: because",
		"resend_status would have been run (dry run): because",
		"resend_status was refused before any call: because",
	}
	if got := strings.Join(w.incidents[id].Notes, "\n"); got != strings.Join(notes, "\n") {
		t.Errorf("notes %q", got)
	}
	if got := strings.Join(w.last("slack").Snapshot.Notes, "\n"); got != strings.Join(notes, "\n") {
		t.Errorf("the opening shows %q", got)
	}
	w.want("slack", "opening")
}

func TestRouting34_AnUnclearRunAsksForACheck(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1")).Incident
	w.apply(w.m.RunChanged(w.load(Query{Incidents: []string{id}}), Run{ID: "rn_1", Incident: id, Workflow: "x", State: RunUnknown}, w.now))
	if text := w.last("slack").Text; !strings.Contains(text, "check before anybody runs it again") {
		t.Errorf("text %q", text)
	}
	if w.last("slack").Kind != RunResult || w.timeline[len(w.timeline)-1].Run != "rn_1" {
		t.Errorf("delivery %+v, timeline %+v", w.last("slack"), w.timeline)
	}
}

func TestRouting35_WhatMayNotStartARun(t *testing.T) {
	for name, change := range map[string]func(*happening){
		"unsigned":     but(func(ev *event.Event) { ev.Authentic = false }),
		"conflict":     but(func(ev *event.Event) { ev.Conflict = true }),
		"replay":       but(func(ev *event.Event) { ev.Origin = event.OriginReplay }),
		"unknown type": but(func(ev *event.Event) { ev.Known = false }),
		"automation":   but(func(ev *event.Event) { ev.Type = "automation.failed" }),
		"dropped":      decided(func(d *Decision) { d.DroppedBy = "noise" }),
		"old news":     occurred(start.Add(-20 * time.Hour)),
		"not final":    with(event.AttemptFinal, false),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, alertAfter(1, 0))
			d := w.event(failed("T1", with(event.AttemptNumber, 3.0), change, proposing(run(RunQueued))))
			if len(w.runs) != 0 || !strings.Contains(strings.Join(d.Reasons, "\n"), "nothing is run") {
				t.Errorf("runs %+v, reasons %q", w.runs, d.Reasons)
			}
		})
	}
}

func TestRouting35_AFailedRunNeverReplacesTheAlert(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", to("slack", "pager"), proposing(run(RunQueued)))).Incident
	w.want("pager", "opening")
	w.send()
	w.heard("slack")
	w.event(delivered("T1"))
	w.apply(w.m.RunChanged(w.load(Query{Incidents: []string{id}}), Run{ID: "rn_1", Incident: id, State: RunFailed, Why: "422"}, w.now))
	w.want("slack", "resolve update run")
	if notes := w.incidents[id].Notes; !strings.Contains(notes[len(notes)-1], "failed, nothing was done: 422") {
		t.Errorf("notes %q", notes)
	}
	if p := w.m.RunChanged(View{}, Run{ID: "rn_2", Incident: "in_gone"}, w.now); len(p.Runs) != 1 || len(p.Incidents) != 0 {
		t.Errorf("a run without its incident plans %+v", p)
	}
}

func TestRouting39_DecisionIsRecordedWhole(t *testing.T) {
	w := newWorld(t)
	d := w.event(failed("T1", decided(func(d *Decision) {
		d.Rules = []MatchedRule{{Name: "page", Line: 3}}
		d.Reasons = []string{"from routing"}
	})))
	if d.Config != "hash" || !d.At.Equal(start) || d.Outcome != Opened || d.Incident != "in_0001" || d.Effect != event.Open ||
		d.Severity != event.Error || d.Rules[0].Name != "page" || d.Reasons[0] != "from routing" {
		t.Errorf("decision %+v", d)
	}
	if rules := w.incidents[d.Incident].Rules; len(rules) != 1 || rules[0] != "page" {
		t.Errorf("rules %q", rules)
	}
	d = w.event(delivered("T1"))
	if d.Outcome != Settled || d.Incident != "in_0001" || d.Effect != event.Settle || len(d.Reasons) == 0 {
		t.Errorf("decision %+v", d)
	}
}

func TestRouting41_ParkedIsToldInFixedText(t *testing.T) {
	w := newWorld(t)
	park := func(id string) {
		ev := event.Stored{ID: id, Received: event.Received{Source: "datasync", Environment: event.Production, Body: []byte("evil")}}
		p := w.m.Park(ev, "panic: <!channel>", w.load(w.m.ParkQuery(ev)), w.now)
		if p.Event != id || p.Decision.Outcome != ParkedAway || !strings.Contains(p.Decision.Reasons[0], "panic") {
			t.Fatalf("plan %+v", p)
		}
		w.apply(p)
	}
	park("ev_1")
	w.want("slack", "notice")
	if text := w.last("slack").Text; !strings.Contains(text, "ev_1") || strings.Contains(text, "panic") || w.last("slack").Snapshot.Severity != event.Error {
		t.Errorf("text %q, severity %v", text, w.last("slack").Snapshot.Severity)
	}
	park("ev_2")
	w.want("slack", "")
	w.pass(time.Hour)
	w.want("slack", "notice")
}

func TestIngest3_QuarantineIsSaidOncePerSourceAndCause(t *testing.T) {
	w := newWorld(t)
	quarantined := func(cause string) happening {
		return happens("", event.None, "", but(func(ev *event.Event) { ev.Quarantine, ev.Known = cause, false }))
	}
	outcome(t, w.event(quarantined("not JSON")), Notified)
	w.event(quarantined("not JSON"))
	w.want("slack", "notice")
	w.event(quarantined("no type"))
	w.want("slack", "notice")
	w.pass(time.Hour)
	w.want("slack", "notice")
	w.wantOpen(0)
}

func TestIngest3_ConflictIsPlannedLikeAnyOtherAndSaidOnceADay(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager")))
	w.want("slack", "opening")
	conflict := but(func(ev *event.Event) { ev.Conflict = true })
	outcome(t, w.event(failed("T1", conflict, to("slack", "pager"))), Joined)
	w.want("slack", "update notice")
	w.want("pager", "opening")
	w.event(failed("T2", conflict))
	w.want("slack", "update")
	w.send()
	w.pass(23 * time.Hour)
	w.heard("slack")
	w.pass(time.Hour)
	if d := w.last("slack"); d.Kind != Noticed || !strings.Contains(d.Text, "1 more") {
		t.Errorf("a day later: %+v", d)
	}
	outcome(t, w.event(delivered("T1", conflict)), Settled)
}

func TestRouting04_AFailedConditionIsSaidToTheDefaults(t *testing.T) {
	w := newWorld(t)
	broken := decided(func(d *Decision) { d.Errors = []string{"rule x: nil"} })
	w.event(failed("T1", to("hook"), broken))
	w.want("slack", "notice")
	w.want("hook", "opening")
	w.event(failed("T2", to("slack"), broken))
	w.want("slack", "opening") // it has the event itself
}

func TestRouting29_NoChains(t *testing.T) {
	w := newWorld(t, func(s *Settings) {
		slack := s.Notifiers["slack"]
		slack.FallbackTo = "other"
		s.Notifiers["slack"] = slack
	})
	w.event(failed("T1", to("pager")))
	w.pass(time.Hour)
	w.want("slack", "fallback")
	w.want("other", "")
	if at := w.last("slack").FallbackAt; !at.IsZero() {
		t.Errorf("a fallback has a fallback at %v", at)
	}
}
