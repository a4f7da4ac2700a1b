package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

// tried is a run of mode auto for which pagers wait.
func tried(hold time.Duration) Run {
	r := run(RunQueued)
	r.Remediation, r.Hold, r.Why = "resend-status", hold, ""
	return r
}

// holding is a world in which pagers wait ten minutes for rn_0001.
func holding(t *testing.T, more ...func(*happening)) (w *world, id string) {
	t.Helper()
	w = newWorld(t)
	base := []func(*happening){to("slack", "pager", "hook"), proposing(tried(10 * time.Minute))}
	id = w.event(failed("T1", append(base, more...)...)).Incident
	w.want("slack", "opening")
	w.want("hook", "opening")
	w.want("pager", "")
	return w, id
}

func TestRouting35_AHeldPageWaitsWhileEverybodyElseIsToldAndSaysWhen(t *testing.T) {
	w, id := holding(t)
	s := w.last("slack").Snapshot
	if !s.HoldUntil.Equal(start.Add(10*time.Minute)) || s.HoldFor != "resend_status" || len(s.Held) != 1 || s.Held[0] != "pager" {
		t.Errorf("the opening shows %v held until %v for %q", s.Held, s.HoldUntil, s.HoldFor)
	}
	if reasons := w.timelineOf(id); !strings.Contains(reasons, "resend_status is tried first: pagers wait until 2026-03-10 14:10:00Z") {
		t.Errorf("timeline:\n%s", reasons)
	}
	w.pass(10*time.Minute - time.Second)
	w.want("pager", "")
	w.pass(time.Second)
	w.want("pager", "opening")
	if d := w.last("pager"); d.Text != "resend_status was tried first, and it is still open" || !d.FallbackAt.Equal(w.now.Add(3*time.Minute)) {
		t.Errorf("paged with %q, fallback at %v: it counts from the page", d.Text, d.FallbackAt)
	}
	w.want("slack", "update")
	if s := w.last("slack").Snapshot; !s.HoldUntil.IsZero() || len(s.Held) != 0 {
		t.Errorf("once it is paged the root shows %v until %v", s.Held, s.HoldUntil)
	}
}

func (w *world) timelineOf(id string) string {
	var lines []string
	for _, e := range w.timeline {
		if e.Incident == id {
			lines = append(lines, e.Kind+": "+e.Text+e.By)
		}
	}
	return strings.Join(lines, "\n")
}

func TestRouting35_WhatEndsAHoldAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		do     func(w *world)
		reason string
	}{
		{"the run failed", func(w *world) { w.becomes("rn_0001", RunFailed) }, "failed, nothing was done"},
		{"it is unknown", func(w *world) { w.becomes("rn_0001", RunUnknown) }, "without a clear answer"},
		{"it was refused", func(w *world) { w.becomes("rn_0001", RunRefused) }, "refused before any call"},
		{"a person stopped it", func(w *world) { w.deed("rn_0001", RunRefused, "ana", AuditDenied, "no") }, "denied by ana: no"},
		{"another failure that nothing is tried for", func(w *world) { w.event(failed("T2")) }, "another failure"},
		{"the same failure again, with a dry run", func(w *world) { w.event(failed("T1", proposing(run(RunDry)))) }, "another failure"},
		{"another failure that waits for a person", func(w *world) { w.event(failed("T2", proposing(run(RunProposed)))) }, "another failure"},
		{"a deadline comes near", func(w *world) {
			w.event(failed("T2", proposing(tried(10*time.Minute)), with(event.SLADue, w.now.Add(19*time.Minute))))
		}, "deadline is near"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := holding(t)
			w.pass(time.Minute)
			tt.do(w)
			w.want("pager", "opening")
			if text := w.last("pager").Text; !strings.Contains(text, tt.reason) {
				t.Errorf("paged with %q, want it to say %q", text, tt.reason)
			}
			w.pass(30 * time.Minute)
			w.want("pager", "")
		})
	}
}

func TestRouting35_WhatEndsNoHold(t *testing.T) {
	for name, do := range map[string]func(w *world){
		"the run was accepted":                  func(w *world) { w.becomes("rn_0001", RunDone) },
		"another failure that is tried too":     func(w *world) { w.event(failed("T2", to("pager", "lead"), proposing(tried(time.Hour)))) },
		"what nobody signed":                    func(w *world) { w.event(failed("T2", but(func(ev *event.Event) { ev.Authentic = false }))) },
		"a run that pagers do not wait for":     func(w *world) { w.store(Run{ID: "rn_9", Incident: "in_0001"}); w.becomes("rn_9", RunFailed) },
		"a worse failure that is tried as well": func(w *world) { w.event(failed("T2", as(event.Critical), proposing(tried(5*time.Minute)))) },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := holding(t)
			w.pass(time.Minute)
			do(w)
			w.want("pager", "")
			w.want("lead", "")
			w.pass(8*time.Minute + 59*time.Second)
			w.want("pager", "")
			w.pass(time.Second) // and none is longer than the first
			w.want("pager", "opening")
		})
	}
}

func TestRouting35_ARecoveryWhileItIsTriedPagesNobody(t *testing.T) {
	w, id := holding(t)
	w.send()
	w.becomes("rn_0001", RunDone)
	w.pass(time.Minute)
	w.event(delivered("T1"))
	w.want("slack", "run update resolve update")
	w.want("hook", "resolve")
	for _, d := range w.deliveries {
		if d.Kind == Resolve && d.Text != "It recovered while resend_status was tried first, so pager was not paged" {
			t.Errorf("%s is told %q", d.Notifier, d.Text)
		}
	}
	if inc := w.incidents[id]; !inc.HoldUntil.IsZero() {
		t.Errorf("it is over and holds until %v", inc.HoldUntil)
	}
	w.pass(time.Hour)
	w.want("pager", "")
}

func TestRouting35_AnAcknowledgementKeepsThePagerQuietUntilItIsLifted(t *testing.T) {
	w, id := holding(t)
	acknowledge(t, w, id)
	w.becomes("rn_0001", RunFailed)
	w.pass(30 * time.Minute)
	w.event(failed("T2", to("slack", "pager")))
	w.want("pager", "")
	if s := w.last("slack").Snapshot; len(s.Held) != 0 {
		t.Errorf("somebody has it, and %v are shown as held", s.Held)
	}
	w.event(failed("T3", as(event.Critical))) // nobody has it any more
	w.want("pager", "opening")
	w.event(delivered("T1"))
	w.event(delivered("T2"))
	w.event(delivered("T3"))
	if got := w.states("pager"); got != "opening:dropped" {
		t.Errorf("pager: %s", got)
	}
}

func TestRouting35_WhatNobodySignedPagesNobodyWhoWasSpared(t *testing.T) {
	w, id := holding(t)
	acknowledge(t, w, id)
	w.event(failed("T2", as(event.Critical), but(func(ev *event.Event) { ev.Authentic = false })))
	if w.incidents[id].Acknowledged != nil {
		t.Fatal("it did not alarm anew")
	}
	w.want("pager", "")
	w.event(failed("T3"))
	w.want("pager", "opening")
}

func TestRouting35_WhatRecoversBeforeItIsToldSaysNothing(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", to("slack", "pager"), wait(5*time.Minute), proposing(tried(10*time.Minute)))).Incident
	w.event(delivered("T1"))
	w.want("slack", "")
	if notes := strings.Join(w.incidents[id].Notes, "\n"); strings.Contains(notes, "not paged") {
		t.Errorf("nobody was told of it, and it notes %q", notes)
	}
}

func TestRouting35_AnEscalationEndsAHold(t *testing.T) {
	w, _ := holding(t, escalating(step(5*time.Minute, "lead")))
	w.pass(4 * time.Minute)
	w.want("lead", "")
	w.pass(time.Minute)
	w.want("lead", "opening")
	w.want("pager", "opening")
	if d := w.last("slack"); d.Kind != Escalated || !strings.HasPrefix(d.Text, "lead, pager is told now") || d.Snapshot.HoldFor != "" {
		t.Errorf("%s says %q, still held for %q", d.Kind, d.Text, d.Snapshot.HoldFor)
	}
}

func TestRouting35_WhatIsNotHeld(t *testing.T) {
	hold := proposing(tried(10 * time.Minute))
	for name, more := range map[string][]func(*happening){
		"a deadline within twice the hold": {hold, with(event.SLADue, start.Add(20*time.Minute))},
		"a deadline that has passed":       {hold, with(event.SLADue, start.Add(-time.Minute))},
		"a dry run":                        {proposing(run(RunDry))},
		"a run that was refused":           {proposing(run(RunRefused))},
		"a run that waits for a person":    {proposing(func() Run { r := tried(time.Hour); r.State = RunProposed; return r }())},
		"a run that may not start":         {hold, but(func(ev *event.Event) { ev.Origin = event.OriginReplay })},
		"a run without a hold":             {proposing(tried(0))},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.event(failed("T1", append([]func(*happening){to("slack", "pager")}, more...)...))
			w.want("pager", "opening")
		})
	}
	t.Run("an incident that is open already", func(t *testing.T) {
		w := newWorld(t)
		w.event(failed("T1"))
		w.event(failed("T2", to("pager"), hold))
		w.want("pager", "opening")
	})
	t.Run("one that comes back and had paged", func(t *testing.T) {
		w := newWorld(t)
		w.event(failed("T1", to("slack", "pager")))
		w.send()
		w.event(delivered("T1"))
		w.heard("pager")
		w.event(failed("T1", to("slack", "pager", "lead"), hold))
		w.want("pager", "reopened")
		w.want("lead", "opening")
	})
	t.Run("one that comes back with a deadline", func(t *testing.T) {
		w := newWorld(t)
		w.event(failed("T1"))
		w.send()
		w.event(delivered("T1"))
		d := w.event(failed("T1", to("slack", "pager"), hold, with(event.SLADue, w.now.Add(20*time.Minute))))
		w.want("pager", "opening")
		if !strings.Contains(strings.Join(d.Reasons, "\n"), "a deadline is nearer than twice the hold") {
			t.Errorf("reasons %q", d.Reasons)
		}
	})
	t.Run("one told so late that its deadline is near by then", func(t *testing.T) {
		w := newWorld(t)
		w.event(failed("T1", to("slack", "pager"), hold, wait(5*time.Minute), with(event.SLADue, start.Add(30*time.Minute))))
		w.now = w.now.Add(15 * time.Minute) // the bridge was down
		w.pass(0)
		w.want("pager", "opening")
	})
	t.Run("but one that comes back and had not", func(t *testing.T) {
		w, _ := holding(t)
		w.send()
		w.event(delivered("T1"))
		w.event(failed("T1", to("slack", "pager"), hold))
		w.want("pager", "")
		w.pass(10 * time.Minute)
		w.want("pager", "opening")
	})
	t.Run("a flapping one", func(t *testing.T) {
		w := newWorld(t)
		for range 4 {
			w.event(failed("T1"))
			w.send()
			if len(w.open()) > 0 && w.open()[0].Flapping {
				break
			}
			w.event(delivered("T1"))
			w.send()
			w.pass(time.Minute)
		}
		w.apply(mustResolve(t, w))
		w.event(failed("T1", to("slack", "pager"), hold))
		w.want("pager", "opening")
	})
}

func mustResolve(t *testing.T, w *world) Plan {
	t.Helper()
	id := w.open()[0].ID
	p, err := w.m.Resolve(w.load(Query{Incidents: []string{id}}), id, Mark{By: "ana", At: w.now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRouting35_AHoldCountsFromTheTelling(t *testing.T) {
	hold := proposing(tried(10 * time.Minute))
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager"), wait(5*time.Minute), hold))
	w.pass(5 * time.Minute)
	w.want("slack", "opening")
	w.pass(10*time.Minute - time.Second)
	w.want("pager", "")
	w.pass(time.Second)
	w.want("pager", "opening")

	late := newWorld(t)
	late.event(failed("T1", to("slack", "pager"), wait(5*time.Minute), hold))
	late.now = late.now.Add(time.Hour) // the bridge was down
	late.pass(0)
	late.want("slack", "opening")
	late.want("pager", "")
	late.pass(10 * time.Minute)
	late.want("pager", "opening")

	joined := newWorld(t)
	joined.event(failed("T1", to("slack", "pager"), wait(5*time.Minute), hold))
	joined.event(failed("T2", to("slack"), wait(5*time.Minute)))
	joined.pass(5 * time.Minute)
	joined.want("pager", "opening")
}

func TestRouting35_SomebodyIsToldWhilePagersWait(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("lead"), proposing(tried(10*time.Minute))))
	w.want("lead", "")
	w.want("slack", "opening") // the defaults

	alone := newWorld(t, func(s *Settings) { s.Notify = []string{"lead"} })
	alone.event(failed("T1", to("lead"), proposing(tried(10*time.Minute))))
	alone.want("lead", "opening")
	if text := alone.last("lead").Text; text != "nobody else can be told" {
		t.Errorf("paged with %q", text)
	}
}

func TestRouting35_AHoldOutlivesNoClosing(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager"), proposing(tried(100*time.Hour))))
	w.pass(72 * time.Hour)
	w.want("pager", "opening")
	w.wantOpen(1)
	w.pass(72 * time.Hour)
	w.wantOpen(0)
}
