package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func retry(txn string, attempt float64, more ...func(*happening)) happening {
	base := []func(*happening){about(txn), partner("P1"), to("slack"), with(event.AttemptNumber, attempt)}
	return happens("transaction.retrying", event.None, event.Connectivity, append(base, more...)...)
}

func alertAfter(attempts int, after time.Duration) func(*Settings) {
	return func(s *Settings) { s.RetryingAttempts, s.RetryingAfter = attempts, after }
}

func TestRouting10_UnknownTypeIsSaidOnceThenCountedHourly(t *testing.T) {
	w := newWorld(t)
	unknown := happens("partner.capability_changed", event.Note, event.UnknownClass, to("slack", "pager"),
		but(func(ev *event.Event) { ev.Known = false }))
	outcome(t, w.event(unknown), Notified)
	w.want("slack", "notice")
	w.want("pager", "")
	w.wantOpen(0)
	for range 3 {
		w.event(unknown)
	}
	w.want("slack", "")
	w.pass(time.Hour)
	w.want("slack", "notice")
	if text := w.last("slack").Text; !strings.Contains(text, "3 more") {
		t.Errorf("count says %q", text)
	}
	w.pass(time.Hour)
	w.want("slack", "")
	if len(w.timers) != 0 {
		t.Errorf("a notice without news keeps its timer: %v", w.timers)
	}
	w.event(unknown)
	w.want("slack", "notice")
	w.event(happens("partner.other", event.Note, event.UnknownClass, to("slack")))
	w.want("slack", "notice")
}

func TestRouting10_NoteNeverReachesAPager(t *testing.T) {
	w := newWorld(t)
	w.event(happens("x.y", event.Note, event.UnknownClass, to("lead"), as(event.Critical)))
	w.want("lead", "")
	w.want("slack", "notice")
}

func TestRouting10_NoneChangesNothing(t *testing.T) {
	w := newWorld(t)
	outcome(t, w.event(happens("webhook.test", event.None, event.UnknownClass)), Ignored)
	if len(w.deliveries)+len(w.incidents)+len(w.timers) != 0 {
		t.Errorf("it left %v %v %v", w.deliveries, w.incidents, w.timers)
	}
}

func TestRouting10_DroppedEventTellsNobody(t *testing.T) {
	w := newWorld(t)
	d := w.event(failed("T1", decided(func(d *Decision) { d.DroppedBy = "noise" })))
	outcome(t, d, DroppedBy)
	w.wantOpen(0)
	if len(w.deliveries) != 0 {
		t.Errorf("queued %v", w.deliveries)
	}
}

func TestRouting10_RetriesOpenNothingWithoutRetryingAlert(t *testing.T) {
	w := newWorld(t)
	outcome(t, w.event(retry("T1", 9)), Ignored)
	final := with(event.AttemptFinal, false)
	outcome(t, w.event(failed("T1", final)), Ignored)
	w.pass(48 * time.Hour)
	w.wantOpen(0)
}

func TestRouting10_RetriesOpenAfterAttemptsOrTime(t *testing.T) {
	t.Run("attempts", func(t *testing.T) {
		w := newWorld(t, alertAfter(3, 30*time.Minute))
		outcome(t, w.event(retry("T1", 1)), Ignored)
		outcome(t, w.event(retry("T1", 2)), Ignored)
		outcome(t, w.event(retry("T1", 3)), Opened)
		w.want("slack", "opening")
		w.pass(time.Hour)
		w.want("slack", "")
		w.wantOpen(1)
	})
	t.Run("a failure that is not final counts as a retry", func(t *testing.T) {
		w := newWorld(t, alertAfter(3, 0))
		outcome(t, w.event(failed("T1", with(event.AttemptFinal, false), with(event.AttemptNumber, 2.0))), Ignored)
		outcome(t, w.event(failed("T1", with(event.AttemptFinal, false), with(event.AttemptNumber, 3.0))), Opened)
	})
	t.Run("time, from the first retry", func(t *testing.T) {
		w := newWorld(t, alertAfter(0, 30*time.Minute))
		w.event(retry("T1", 1))
		w.pass(20 * time.Minute)
		w.event(retry("T1", 2))
		w.pass(9 * time.Minute)
		w.wantOpen(0)
		w.pass(time.Minute)
		w.wantOpen(1)
		w.want("slack", "opening")
		w.pass(time.Hour)
		w.want("slack", "")
	})
	t.Run("a clock that nobody asks for any more opens nothing", func(t *testing.T) {
		w := newWorld(t, alertAfter(0, 30*time.Minute))
		w.event(retry("T1", 1))
		w.m.RetryingAfter = 0 // after a reload
		w.pass(time.Hour)
		w.wantOpen(0)
		w.want("slack", "")
	})
	t.Run("a delivery stops the clock", func(t *testing.T) {
		w := newWorld(t, alertAfter(0, 30*time.Minute))
		w.event(retry("T1", 1))
		w.pass(10 * time.Minute)
		outcome(t, w.event(delivered("T1")), Unfitting)
		w.pass(time.Hour)
		w.wantOpen(0)
		w.want("slack", "")
	})
	t.Run("at the same instant the later arrival decides", func(t *testing.T) {
		w := newWorld(t, alertAfter(0, 30*time.Minute))
		at := w.now
		w.event(retry("T1", 1, occurred(at)))
		w.pass(time.Minute)
		w.event(delivered("T1", occurred(at)))
		w.pass(time.Hour)
		w.wantOpen(0)
	})
	t.Run("the clock runs again after a recovery", func(t *testing.T) {
		w := newWorld(t, alertAfter(0, 30*time.Minute))
		w.event(retry("T1", 1))
		w.pass(10 * time.Minute)
		w.event(delivered("T1"))
		w.pass(5 * time.Minute)
		w.event(retry("T1", 1))
		w.pass(29 * time.Minute)
		w.wantOpen(0)
		w.pass(time.Minute)
		w.wantOpen(1)
	})
}

func TestRouting10_SLARaisesAnOpenMemberAndAddsNone(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack"), as(event.Warning)))
	w.event(happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), partner("P1"), to("slack"), as(event.Info)))
	w.heard("slack")
	due := start.Add(5 * time.Hour)
	d := w.event(happens("sla.violated", event.Open, event.SLA, about("T1"), partner("P1"), to("slack", "pager"),
		as(event.Critical), with(event.SLADue, due)))
	outcome(t, d, Raised)
	w.wantOpen(2)
	inc := w.incidents[d.Incident]
	if inc.Class != event.Connectivity || inc.Total != 1 || inc.Severity != event.Critical {
		t.Errorf("raised %+v", inc)
	}
	w.want("slack", "alarm#2 update#2")
	w.want("pager", "opening")
	if got := w.last("slack").Snapshot.Due; !got.Equal(due) {
		t.Errorf("deadline is %v, want %v", got, due)
	}
	outcome(t, w.event(happens("sla.warning", event.Open, event.SLA, about("T2"), partner("P1"), to("slack"))), Opened)
}

func TestRouting10_RaiseDoesNotPostponeTheFailure(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1"))
	w.pass(10 * time.Minute)
	deliveredAt := w.now
	w.pass(time.Minute)
	outcome(t, w.event(happens("sla.violated", event.Open, event.SLA, about("T1"), to("slack"))), Raised)
	outcome(t, w.event(delivered("T1", occurred(deliveredAt))), Settled)
	w.wantOpen(0)
}

func TestRouting11_ClassOfTheMemberIsTheEvents(t *testing.T) {
	w := newWorld(t)
	d := w.event(happens("mdn.timeout", event.Open, event.MDNTimeout, about("T1"), partner("P1"), to("slack")))
	if d.Class != event.MDNTimeout || w.last("slack").Snapshot.Class != event.MDNTimeout {
		t.Errorf("class %q, snapshot %q", d.Class, w.last("slack").Snapshot.Class)
	}
}
