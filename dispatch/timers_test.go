package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// fired records timers that the planner was asked about.
type fired struct {
	mu sync.Mutex
	by []string
}

func (f *fired) add(t incident.Timer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by = append(f.by, t.Subject)
}

func (f *fired) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.by)
}

func setTimer(w *world, kind incident.TimerKind, subject string, in time.Duration) {
	w.t.Helper()
	due := incident.Timer{Kind: kind, Subject: subject, DueAt: time.Now().Add(in)}
	if err := w.store.Apply(context.Background(), incident.Plan{Timers: []incident.Timer{due}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestTimers_FireWhenDueAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got fired
		start := time.Now()
		w.planner.onTimer = func(t incident.Timer, _ incident.View) incident.Plan {
			got.add(incident.Timer{Subject: t.Subject + " after " + time.Since(start).String()})
			return incident.Plan{}
		}
		setTimer(w, incident.IncidentTimer, "in_2", 90*time.Minute)
		setTimer(w, incident.IncidentTimer, "in_1", 300*time.Millisecond)
		stop := w.run()
		defer stop()
		synctest.Wait()
		setTimer(w, incident.NoticeTimer, "n", time.Second+time.Millisecond)
		pass(24 * time.Hour)
		want := []string{"in_1 after 300ms", "n after 1.001s", "in_2 after 1h30m0s"}
		if !slices.Equal(got.names(), want) {
			t.Errorf("fired %v, want %v", got.names(), want)
		}
		if next := w.nextTimer(); !next.IsZero() {
			t.Errorf("a timer is left for %v, want none", next)
		}
	})
}

func TestTimers_AConflictReadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got fired
		w.planner.onTimer = func(t incident.Timer, _ incident.View) incident.Plan { got.add(t); return incident.Plan{} }
		moved := false
		w.apply = func(p incident.Plan, do func() error) error {
			if p.Consumed != nil && !moved {
				moved = true // an event has set the timer anew meanwhile
				setTimer(w, incident.IncidentTimer, "in_1", time.Hour)
			}
			return do()
		}
		setTimer(w, incident.IncidentTimer, "in_1", time.Second)
		stop := w.run()
		defer stop()
		pass(time.Minute)
		if w.nextTimer().IsZero() {
			t.Error("the timer was consumed although it had moved")
		}
		before := len(got.names())
		pass(2 * time.Hour)
		if n := len(got.names()) - before; n != 1 {
			t.Errorf("it fired %d times at its new time, want once", n)
		}
	})
}

func TestTimers_ABadOneIsPostponedAndBlocksNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got fired
		w.planner.onTimer = func(t incident.Timer, _ incident.View) incident.Plan {
			if t.Subject == "bad" {
				panic("nil map")
			}
			got.add(t)
			return incident.Plan{}
		}
		for n := range 200 { // more than are read at once
			setTimer(w, incident.NoticeTimer, string(rune('A'+n/26))+string(rune('a'+n%26)), time.Second)
		}
		setTimer(w, incident.IncidentTimer, "bad", 0)
		stop := w.run()
		defer stop()
		pass(2 * time.Second)
		if n := len(got.names()); n != 200 {
			t.Errorf("%d good timers fired, want 200", n)
		}
		pass(5 * time.Second)
		if wait := time.Until(w.nextTimer()); wait < 9*time.Minute {
			t.Errorf("after three failures the bad timer is due in %v, want about 10 minutes", wait)
		}
		pass(11 * time.Minute)
		if w.nextTimer().IsZero() {
			t.Error("the bad timer is gone, want it to be tried from time to time")
		}
	})
}

func TestRouting10_ARetryThatLastsOpensThroughTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pager := &far{}
		w.senders = append(w.senders, pagerTo(pager))
		stop := w.run()
		defer stop()
		id := w.accept("none acme edi-pager")[0]
		synctest.Wait()
		pagerBefore := len(pager.got())
		setTimer(w, incident.RetryingTimer, id, 30*time.Minute)
		pass(31 * time.Minute)
		inputs := w.planner.inputs()
		last := inputs[len(inputs)-1]
		if last.Event.Effect != event.Open || last.Decision.Effect != event.Open || last.Consumed == nil {
			t.Errorf("effect %q, decided for %q, consumed %v; want open, open and the timer", last.Event.Effect, last.Decision.Effect, last.Consumed)
		}
		if n := len(pager.got()) - pagerBefore; n != 1 {
			t.Errorf("the pager was called %d times more, want once", n)
		}
		if next := w.nextTimer(); !next.IsZero() {
			t.Errorf("a timer is left for %v, want none", next)
		}
	})
}

func TestTimers_ARetryingTimerOfAForgottenEventEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		setTimer(w, incident.RetryingTimer, "ev_0000000000001", 0)
		stop := w.run()
		defer stop()
		synctest.Wait()
		if next := w.nextTimer(); !next.IsZero() {
			t.Errorf("a timer is left for %v, want none", next)
		}
	})
}

func TestTimers_AnUnavailableStorePostponesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got fired
		w.planner.onTimer = func(t incident.Timer, _ incident.View) incident.Plan { got.add(t); return incident.Plan{} }
		setTimer(w, incident.IncidentTimer, "in_1", 0)
		back := time.Now().Add(time.Minute)
		w.apply = func(_ incident.Plan, do func() error) error {
			if time.Now().Before(back) {
				return errors.Join(event.ErrUnavailable, errors.New("read-only file system"))
			}
			return do()
		}
		stop := w.run()
		defer stop()
		pass(time.Minute + 3*time.Second)
		due, _, err := w.store.DueTimers(context.Background(), 10)
		if err != nil || len(due) > 0 {
			t.Errorf("still due: %v (%v), want it fired as soon as the store is back", due, err)
		}
	})
}
