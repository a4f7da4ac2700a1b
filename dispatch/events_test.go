package dispatch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestEvents_ArePlannedAsSoonAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slack := &far{}
		w.senders = append(w.senders, slackTo(slack))
		early := w.accept("open acme edi-slack")[0]
		stop := w.run()
		defer stop()
		synctest.Wait()
		late := w.accept("open globex edi-slack")[0]
		synctest.Wait()
		if got, want := slack.texts(), []string{early, late}; !slices.Equal(got, want) {
			t.Errorf("Slack got %v without any time passing, want %v", got, want)
		}
		for _, id := range []string{early, late} {
			if st := w.event(id); st.State != event.Planned {
				t.Errorf("event %s is %s, want planned", id, st.State)
			}
		}
	})
}

func TestEvents_OfOneKeyArePlannedInOrderAndOthersBesideThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var under, most int
		w.apply = func(_ incident.Plan, do func() error) error {
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			<-time.After(time.Millisecond) // a commit takes its time
			defer func() { mu.Lock(); under--; mu.Unlock() }()
			return do()
		}
		const keys, each = 6, 40
		want := map[string][]string{}
		for n := range keys * each {
			key := fmt.Sprintf("key%d", n%keys)
			want[key] = append(want[key], w.accept("open "+key)...)
		}
		stop := w.run()
		defer stop()
		pass(time.Second)

		got := map[string][]string{}
		for _, in := range w.planner.inputs() {
			got[in.Decision.Key] = append(got[in.Decision.Key], in.Event.ID)
		}
		for key := range want {
			if !slices.Equal(got[key], want[key]) {
				t.Errorf("%s was planned in the order %v, want %v", key, got[key], want[key])
			}
		}
		if most != keys {
			t.Errorf("at most %d plans were applied at once, want one for each of %d keys", most, keys)
		}
		for _, inc := range w.incidents() {
			if inc.Total != each {
				t.Errorf("incident %s counts %d events, want %d", inc.ID, inc.Total, each)
			}
		}
	})
}

func TestEvents_AConflictIsLoadedAndPlannedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		conflicts := 2
		w.apply = func(_ incident.Plan, do func() error) error {
			if conflicts > 0 {
				conflicts--
				return fmt.Errorf("apply: %w", incident.ErrConflict)
			}
			return do()
		}
		id := w.accept("open acme")[0]
		stop := w.run()
		defer stop()
		pass(time.Second)
		if st := w.event(id); st.State != event.Planned || st.Failures != 0 {
			t.Errorf("event is %s with %d failures, want planned with none", st.State, st.Failures)
		}
		if n := len(w.planner.inputs()); n != 3 {
			t.Errorf("it was planned %d times, want 3", n)
		}
		if n := len(w.incidents()); n != 1 {
			t.Errorf("%d incidents, want 1", n)
		}
	})
}

func TestEvents_AnEndlessConflictIsAFailureInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply = func(p incident.Plan, do func() error) error {
			if p.Decision.Outcome != incident.ParkedAway {
				return incident.ErrConflict
			}
			return do()
		}
		id := w.accept("open acme")[0]
		stop := w.run()
		defer stop()
		pass(time.Minute)
		if st := w.event(id); st.State != event.Parked || st.Failures != 3 {
			t.Errorf("event is %s with %d failures, want parked with 3", st.State, st.Failures)
		}
	})
}

func TestEvents_AnUnavailableStoreIsNobodysFault(t *testing.T) {
	for _, fault := range []error{event.ErrUnavailable, event.ErrBusy} {
		t.Run(fault.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				back := time.Now().Add(10 * time.Minute)
				down := func() error {
					if time.Now().Before(back) {
						return fmt.Errorf("disk is full: %w", fault)
					}
					return nil
				}
				w.apply = func(_ incident.Plan, do func() error) error { return errors.Join(down(), doIf(down() == nil, do)) }
				id := w.accept("open acme")[0]
				stop := w.run()
				defer stop()
				pass(9 * time.Minute)
				if st := w.event(id); st.State != event.Pending || st.Failures != 0 {
					t.Errorf("meanwhile the event is %s with %d failures, want pending with none", st.State, st.Failures)
				}
				pass(2 * time.Minute)
				if st := w.event(id); st.State != event.Planned || st.Failures != 0 {
					t.Errorf("afterwards the event is %s with %d failures, want planned with none", st.State, st.Failures)
				}
			})
		})
	}
}

func doIf(ok bool, do func() error) error {
	if !ok {
		return nil
	}
	return do()
}

func TestEvents_ACommitWhoseAnswerWasLostIsNotPlannedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lost, failed := false, 0
		w.observe.PlanFailed = func() { failed++ }
		w.apply = func(_ incident.Plan, do func() error) error {
			err := do()
			if err == nil && !lost {
				lost = true
				return event.ErrUnavailable
			}
			return err
		}
		id := w.accept("open acme edi-slack")[0]
		stop := w.run()
		defer stop()
		pass(time.Minute)
		if st := w.event(id); st.State != event.Planned || st.Failures != 0 {
			t.Errorf("event is %s with %d failures, want planned with none", st.State, st.Failures)
		}
		if failed != 0 {
			t.Errorf("%d plans count as failed, want none", failed)
		}
		if d, i := len(w.deliveries("edi-slack")), len(w.incidents()); d != 1 || i != 1 {
			t.Errorf("%d deliveries and %d incidents, want one of each", d, i)
		}
	})
}

func TestRouting41_AnEventThatCannotBePlannedIsParkedAndToldAndHoldsUpNothing(t *testing.T) {
	refuse := func(bad string) func(incident.Plan, func() error) error {
		return func(p incident.Plan, do func() error) error {
			if p.Event == bad && p.Decision.Outcome != incident.ParkedAway {
				return errors.New("constraint failed")
			}
			return do()
		}
	}
	for _, tt := range []struct {
		name  string
		body  string
		fault func(w *world, bad string)
	}{
		{"a mapping that fails", "bad acme", func(w *world, _ string) {
			w.mapper.bad = func() error { return errors.New("no such profile") }
		}},
		{"a mapping that panics", "bad acme", func(w *world, _ string) { w.mapper.bad = func() error { panic("out of range") } }},
		{"a plan that panics", "open acme", func(w *world, bad string) {
			w.planner.onEvent = func(in incident.Input) {
				if in.Event.ID == bad {
					panic("nil map")
				}
			}
		}},
		{"a plan that cannot be applied three times", "open acme", func(w *world, bad string) { w.apply = refuse(bad) }},
	} {
		t.Run("41: "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				slack := &far{}
				w.senders = append(w.senders, slackTo(slack))
				bad := w.accept(tt.body + " edi-slack")[0]
				good := w.accept("open acme edi-slack")[0]
				tt.fault(w, bad)
				stop := w.run()
				defer stop()
				synctest.Wait()
				if got := slack.texts(); !slices.Equal(got, []string{good}) {
					t.Errorf("at once Slack got %v, want only %s of the same lane", got, good)
				}
				pass(time.Minute)
				if got := slack.texts(); !slices.Equal(got, []string{good, "parked " + bad}) {
					t.Errorf("in the end Slack got %v, want %s and that %s is parked", got, good, bad)
				}
				if st := w.event(bad); st.State != event.Parked || st.Failures != 3 {
					t.Errorf("the bad event is %s with %d failures, want parked with 3", st.State, st.Failures)
				}
				v, err := w.store.Load(t.Context(), incident.Query{Notice: "parked"})
				if err != nil || v.Notice == nil || v.Notice.Total != 1 {
					t.Errorf("the notice of what is parked is %+v (%v), want it once", v.Notice, err)
				}
			})
		})
	}
}

func TestRouting41_ManyBadEventsDoNotBlockAGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.mapper.bad = func() error { return errors.New("no") }
		w.config.Batch = 16
		for range 100 {
			w.accept("bad")
		}
		good := w.accept("open acme")[0]
		stop := w.run()
		defer stop()
		synctest.Wait()
		if st := w.event(good); st.State != event.Planned {
			t.Errorf("behind 100 bad events a good one is %s without any time passing, want planned", st.State)
		}
	})
}

func TestRouting41_FailuresAreCountedAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.mapper.bad = func() error { return errors.New("no") }
		id := w.accept("bad")[0]
		for n := range 3 {
			if st := w.event(id); st.State != event.Pending || st.Failures != n {
				t.Fatalf("after %d runs the event is %s with %d failures", n, st.State, st.Failures)
			}
			stop := w.run()
			synctest.Wait()
			stop()
		}
		if st := w.event(id); st.State != event.Parked {
			t.Errorf("after the third run the event is %s, want parked", st.State)
		}
	})
}

func TestRouting41_WhatCannotEvenBeParkedHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bad := w.accept("bad")[0]
		w.mapper.bad = func() error { return errors.New("no") }
		tries := 0
		w.failed = func() { tries++ }
		w.apply = func(p incident.Plan, do func() error) error {
			if p.Event == bad {
				return errors.New("row is broken")
			}
			return do()
		}
		stop := w.run()
		defer stop()
		pass(time.Hour)
		good := w.accept("open acme")[0]
		synctest.Wait()
		if st := w.event(good); st.State != event.Planned {
			t.Errorf("a good event is %s, want planned", st.State)
		}
		if tries > 70 {
			t.Errorf("the bad event was tried %d times in an hour, want about one a minute", tries)
		}
	})
}

func TestEvents_AreReadByStateWhateverWasReadBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		// The earlier event shows up only after the later one was planned.
		early, late := w.accept("open acme")[0], w.accept("open globex")[0]
		shown := time.Now().Add(time.Minute)
		w.pending = func(got []event.Stored) []event.Stored {
			return slices.DeleteFunc(got, func(st event.Stored) bool { return st.ID == early && time.Now().Before(shown) })
		}
		stop := w.run()
		defer stop()
		synctest.Wait()
		if st := w.event(late); st.State != event.Planned {
			t.Errorf("the later event is %s, want planned", st.State)
		}
		pass(time.Minute + 2*time.Second)
		if st := w.event(early); st.State != event.Planned {
			t.Errorf("the earlier event is %s, want planned once it shows up, although nobody was told", st.State)
		}
	})
}

func TestEvents_ReachTheObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var seen []string
		note := func(what string) { mu.Lock(); seen = append(seen, what); mu.Unlock() }
		w.observe.Planned = func(p dispatch.Planned) {
			note(strings.Join([]string{string(p.Outcome), p.At.Sub(p.Event.ReceivedAt).String()}, " after "))
		}
		w.observe.PlanFailed = func() { note("failed") }
		w.mapper.bad = func() error { return errors.New("no") }
		w.accept("bad")
		w.accept("open acme")
		pass(time.Second)
		stop := w.run()
		defer stop()
		pass(10 * time.Second)
		want := []string{"failed", "opened after 1s", "failed", "failed", "parked after 4s"}
		if !slices.Equal(seen, want) {
			t.Errorf("the observer saw %q, want %q", seen, want)
		}
	})
}
