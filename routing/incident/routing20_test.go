package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestRouting20_RemindsBySeverityUntilAcknowledged(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", to("slack", "pager", "hook"), as(event.Critical))).Incident
	w.send()
	for _, n := range []string{"slack", "pager", "hook"} {
		w.heard(n)
	}
	w.pass(59 * time.Minute)
	w.want("slack", "")
	w.pass(time.Minute)
	w.want("slack", "reminder")
	w.pass(2 * time.Hour)
	w.want("slack", "reminder reminder")
	w.want("pager", "")
	w.want("hook", "")
	acknowledge(t, w, id)
	w.heard("slack")
	w.pass(10 * time.Hour)
	w.want("slack", "")
}

func TestRouting20_RemindersFollowASeverityThatFellAndRoseAgain(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", as(event.Info)))
	w.event(failed("T2", as(event.Critical)))
	w.event(delivered("T2"))
	w.pass(50 * time.Minute)
	w.event(failed("T3", as(event.Info)))
	w.heard("slack")
	w.pass(20 * time.Minute) // the hour of critical goes by, and info never reminds
	w.want("slack", "")
	w.event(failed("T4", as(event.Critical))) // as it was told before
	w.want("slack", "update#2")
	w.pass(time.Hour)
	w.want("slack", "reminder#2")
}

func TestRouting20_NeverDoesNotRemind(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", as(event.Info)))
	w.heard("slack")
	w.pass(71 * time.Hour)
	w.want("slack", "")
}

func step(after time.Duration, names ...string) EscalateStep {
	return EscalateStep{Rule: "page", After: after, Notify: names}
}

func TestRouting20_EscalatesUnlessAcknowledged(t *testing.T) {
	w := newWorld(t)
	h := failed("T1", to("slack", "pager"), escalating(step(15*time.Minute, "lead"), step(30*time.Minute, "hook")))
	id := w.event(h).Incident
	w.heard("slack")
	w.pass(14 * time.Minute)
	w.want("lead", "")
	w.pass(time.Minute)
	w.want("lead", "opening")
	w.want("slack", "fallback escalated") // nobody took what waits for the pager
	acknowledge(t, w, id)
	w.pass(time.Hour)
	w.want("hook", "")
	w.event(failed("T2", partner("P1"), to("slack", "pager"), as(event.Critical), escalating(step(15*time.Minute, "lead"), step(30*time.Minute, "hook"))))
	w.want("lead", "acknowledged alarm#2")
	w.pass(30 * time.Minute)
	w.want("hook", "opening")
	w.want("lead", "")
}

func TestRouting20_NobodyIsToldTwiceByAnEscalation(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager"), escalating(step(15*time.Minute, "pager", "slack"))))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.pass(20 * time.Minute)
	w.want("slack", "")
	w.want("pager", "")
}

func TestRouting20_AStepAddedByALaterRuleCounts(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack")))
	w.pass(5 * time.Minute)
	w.event(failed("T2", to("slack"), escalating(step(15*time.Minute, "lead"))))
	w.pass(14 * time.Minute)
	w.want("lead", "")
	w.pass(time.Minute)
	w.want("lead", "opening")
}

func TestRouting20_NothingIsEscalatedAfterTheEnd(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack"), escalating(step(15*time.Minute, "lead"))))
	w.event(delivered("T1"))
	w.pass(100 * time.Hour)
	w.want("lead", "")
	if len(w.timers) != 0 {
		t.Errorf("timers are left: %v", w.timers)
	}
}

func TestRouting20_ATimerThatFiresAgainDoesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.event(failed("T1", as(event.Critical))).Incident
	w.pass(time.Hour)
	w.heard("slack")
	w.fire(w.timers[string(IncidentTimer)+id])
	w.want("slack", "")
}

func TestRouting21_ResolveIsHeld(t *testing.T) {
	held := decided(func(d *Decision) { d.Group.ResolveWait = 5 * time.Minute })
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager"), held))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.event(delivered("T1"))
	w.want("pager", "")
	w.want("slack", "update")
	w.pass(4 * time.Minute)
	w.event(failed("T1", to("slack", "pager"), held))
	w.want("pager", "")
	w.pass(10 * time.Minute)
	w.wantOpen(1)
	w.event(delivered("T1"))
	w.pass(5 * time.Minute)
	w.want("pager", "resolve")
	w.wantOpen(0)
}

func TestRouting21_ReopensTheSameIncident(t *testing.T) {
	w := newWorld(t)
	first := w.event(failed("T1", to("slack", "pager"), as(event.Critical)))
	w.event(failed("T2", to("slack", "pager"), as(event.Critical)))
	w.event(delivered("T2"))
	w.send()
	w.event(delivered("T1"))
	w.send()
	w.heard("slack")
	w.heard("pager")
	w.pass(30 * time.Minute)
	again := w.event(failed("T3", to("slack", "pager", "hook"), as(event.Warning)))
	outcome(t, again, Reopened)
	if again.Incident != first.Incident {
		t.Errorf("reopened %s, want %s", again.Incident, first.Incident)
	}
	w.want("pager", "reopened")
	w.want("slack", "reopened update")
	w.want("hook", "opening")
	if s := w.last("pager").Snapshot; s.Severity != event.Warning || s.Lead.Fields[event.TransactionID] != "T3" || s.Reopenings != 1 {
		t.Errorf("shows %v, led by %v", s.Severity, s.Lead)
	}
	w.send()
	w.event(delivered("T3"))
	w.want("pager", "resolve")
	w.pass(31 * time.Minute)
	outcome(t, w.event(failed("T3", to("slack"))), Opened)
}

func TestRouting21_ThirdReopeningIsFlapping(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.Repeat = nil })
	toggle := func() {
		w.event(failed("T1", to("slack", "pager")))
		w.send()
		w.pass(time.Minute)
		w.event(delivered("T1"))
		w.send()
		w.pass(time.Minute)
	}
	toggle()
	toggle()
	toggle()
	w.want("pager", "opening resolve reopened resolve reopened resolve")
	w.heard("slack")
	toggle()
	w.want("pager", "reopened")
	inc := w.open()
	if len(inc) != 1 || !inc[0].Flapping {
		t.Fatalf("not flapping: %+v", inc)
	}
	if got := w.heard("slack"); got != "reopened update update" {
		t.Errorf("Slack heard %q", got)
	}
	toggle()
	toggle()
	w.want("pager", "")
	if got := w.heard("slack"); strings.Trim(got, "update ") != "" {
		t.Errorf("Slack heard %q", got)
	}
	w.event(failed("T1", to("slack", "pager")))
	w.heard("slack")
	w.pass(time.Hour)
	w.want("slack", "counted")
	if text := w.last("slack").Text; !strings.Contains(text, "changes in the last hour") {
		t.Errorf("count says %q", text)
	}
	w.event(failed("T1", to("slack", "pager"), as(event.Critical)))
	w.want("pager", "alarm#2") // worse is news, flapping or not
	w.send()
	w.event(delivered("T1"))
	w.pass(29 * time.Minute)
	w.want("pager", "")
	w.pass(time.Minute)
	w.want("pager", "resolve resolve#2")
	w.wantOpen(0)
}

func TestRouting22_ResolveGoesToWhoGotTheOpeningAlsoAfterAReload(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("pager", "hook", "lead")))
	w.send()
	w.heard("pager")
	w.heard("hook")
	w.heard("lead")
	// The reload: one is gone, one is retired, one has a new key, rules name another.
	notifiers := settings().Notifiers
	delete(notifiers, "pager")
	hook, lead := notifiers["hook"], notifiers["lead"]
	hook.Retired, lead.Fingerprint = true, "f9"
	notifiers["hook"], notifiers["lead"] = hook, lead
	w.m = &Machine{w.m.Settings}
	w.m.Notifiers = notifiers
	w.event(failed("T2", to("slack", "hook"), as(event.Critical)))
	w.want("slack", "opening")
	w.want("hook", "")
	w.want("lead", "alarm#2")
	w.send("slack", "lead")
	w.event(delivered("T1"))
	w.event(delivered("T2"))
	w.want("pager", "resolve")
	w.want("hook", "resolve")
	w.want("lead", "resolve resolve#2")
	w.want("other", "")
	if d := w.last("lead"); d.Fingerprint != "f2" {
		t.Errorf("the end goes to key %q, the opening went to f2", d.Fingerprint)
	}
}

func TestRouting26_ASandboxNeverPages(t *testing.T) {
	for name, quiet := range map[string]func(*happening){
		"sandbox":  but(func(ev *event.Event) { ev.Environment = event.Sandbox }),
		"unsigned": but(func(ev *event.Event) { ev.Authentic = false }),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.event(failed("T1", to("pager", "lead", "hook"), as(event.Critical), quiet, escalating(step(time.Minute, "lead"), step(time.Minute, "other"))))
			w.pass(30 * time.Minute)
			w.want("pager", "")
			w.want("lead", "")
			w.want("hook", "opening")
			w.want("other", "opening")
			w.want("slack", "opening escalated")
			if !strings.Contains(strings.Join(d.Reasons, "\n"), `pager "lead" does not ring`) {
				t.Errorf("reasons %q", d.Reasons)
			}
		})
	}
}

func TestRouting26_AnUnsignedEventDoesNotRingThePagerOfAnIncidentItJoins(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("pager"), as(event.Warning)))
	w.heard("pager")
	w.event(failed("T2", to("slack"), as(event.Critical), but(func(ev *event.Event) { ev.Authentic = false })))
	w.want("pager", "")
	w.want("slack", "opening")
}

func TestRouting02_SomebodyIsAlwaysTold(t *testing.T) {
	w := newWorld(t)
	d := w.event(failed("T1", to("nobody")))
	w.want("slack", "opening")
	if !strings.Contains(strings.Join(d.Reasons, "\n"), "defaults.notify is told") {
		t.Errorf("reasons %q", d.Reasons)
	}
}

func TestRouting21_AFlappingIncidentIsQuietAfterAQuietTimeToo(t *testing.T) {
	w := newWorld(t, func(s *Settings) { s.Repeat = nil })
	for range 3 {
		w.event(failed("T1"))
		w.send()
		w.event(delivered("T1"))
		w.send()
		w.pass(time.Minute)
	}
	w.event(failed("T1"))
	w.send()
	w.heard("slack")
	w.pass(90 * time.Minute)
	w.want("slack", "")
	w.event(failed("T2"))
	w.want("slack", "update")
}

func TestRouting20_AFlappingIncidentIsCountedNotReminded(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.event(failed("T1", as(event.Critical)))
		w.send()
		if !w.open()[0].Flapping {
			w.event(delivered("T1"))
			w.send()
		}
		w.pass(time.Minute)
	}
	w.heard("slack")
	w.pass(118 * time.Minute)
	w.want("slack", "")
	w.pass(90 * time.Minute)
	w.want("slack", "update reminder")
	if w.open()[0].Flapping {
		t.Error("it has been open for hours and is still flapping")
	}
}
