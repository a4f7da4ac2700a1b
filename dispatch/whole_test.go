package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

var (
	_ dispatch.Store   = (*sqlite.Store)(nil)
	_ dispatch.Planner = (*incident.Machine)(nil)
)

// machine is the real incident machine: a pager with a fallback beside Slack.
func machine() *incident.Machine {
	return &incident.Machine{Settings: incident.Settings{
		Notifiers: map[string]incident.Notifier{
			"edi-slack": {Name: "edi-slack", Edits: true},
			"edi-pager": {Name: "edi-pager", Pager: true, FallbackTo: "edi-slack", FallbackAfter: 3 * time.Minute},
		},
		Notify:       []string{"edi-slack"},
		CloseAfter:   event.Span(72 * time.Hour),
		ReopenWithin: 30 * time.Minute,
	}}
}

func kinds(f *far) (out []incident.DeliveryKind) {
	for _, c := range f.got() {
		out = append(out, c.Kind)
	}
	return out
}

func TestWhole_AFailureIsToldAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		slack, pager := &far{}, &far{}
		w.senders = append(w.senders, slackTo(slack), pagerTo(pager))
		stop := w.run()
		defer stop()
		opening := w.accept("open txn_1 edi-pager,edi-slack")[0]
		pass(time.Minute)
		w.accept("settle txn_1")
		pass(time.Minute)
		want := []incident.DeliveryKind{incident.Opening, incident.Resolve}
		if got := kinds(pager); !slices.Equal(got, want) {
			t.Errorf("the pager was told %q, want %q", got, want)
		}
		if got := kinds(slack); len(got) < 2 || got[0] != incident.Opening || !slices.Contains(got, incident.Resolve) {
			t.Errorf("Slack was told %q, want an opening and its resolve", got)
		}
		st := w.event(opening)
		if !strings.Contains(string(st.Decision), `"opened"`) || st.Incident != w.incidents()[0].ID {
			t.Errorf("the event keeps decision %s of incident %q", st.Decision, st.Incident)
		}
		if inc := w.incidents()[0]; inc.State != incident.Resolved || inc.Resolution != incident.Recovered {
			t.Errorf("the incident is %s (%s), want recovered", inc.State, inc.Resolution)
		}
	})
}

func TestWhole_AnIncidentWithoutNewsCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		pager := &far{}
		w.senders = append(w.senders, pagerTo(pager))
		start := time.Now()
		w.accept("open txn_1 edi-pager")
		stop := w.run()
		defer stop()
		pass(73 * time.Hour)
		got := pager.got()
		if len(got) != 2 || got[1].Kind != incident.Resolve || got[1].at.Sub(start) != 72*time.Hour {
			t.Errorf("the pager was told %q, want its resolve after 72h to the microsecond", kinds(pager))
		}
	})
}

func TestWhole_WhatAPagerRefusesIsPostedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		slack := &far{}
		pager := &far{answer: func(incident.Delivery, int) error { return notifiers.Permanent(errors.New("400 invalid key")) }}
		w.senders = append(w.senders, slackTo(slack), pagerTo(pager))
		w.accept("open txn_1 edi-pager")
		stop := w.run()
		defer stop()
		pass(time.Hour)
		if got := kinds(slack); !slices.Equal(got, []incident.DeliveryKind{incident.Fallback}) {
			t.Errorf("Slack was told %q, want the fallback once", got)
		}
		if len(pager.got()) != 1 {
			t.Errorf("the pager was called %d times, want once", len(pager.got()))
		}
	})
}

func TestWhole_CommandsReachPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		slack, pager := &far{}, &far{}
		w.senders = append(w.senders, slackTo(slack), pagerTo(pager))
		id := opened(w, "open txn_1 edi-pager,edi-slack")
		d := w.dispatcher()
		if err := d.Acknowledge(t.Context(), id, "ana", "on it"); err != nil {
			t.Fatal(err)
		}
		if err := d.Resolve(t.Context(), id, "ana", "sent by mail"); err != nil {
			t.Fatal(err)
		}
		if err := d.Resolve(t.Context(), id, "ana", "again"); err == nil {
			t.Error("resolving what is over was not refused")
		}
		stop := w.run()
		defer stop()
		synctest.Wait()
		for name, f := range map[string]*far{"Slack": slack, "the pager": pager} {
			if got := kinds(f); got[0] != incident.Opening || !slices.Contains(got, incident.Resolve) {
				t.Errorf("%s was told %q, want an opening and its resolve", name, got)
			}
		}
		if inc := w.incidents()[0]; inc.Resolution != incident.Manual || inc.Acknowledged == nil || inc.Acknowledged.By != "ana" {
			t.Errorf("the incident is %s, acknowledged %+v; want manual, by ana", inc.Resolution, inc.Acknowledged)
		}
	})
}

func TestWhole_ParkedEventsAreToldAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		w.mapper.bad = func() error { panic("no such table") }
		slack := &far{}
		w.senders = append(w.senders, slackTo(slack))
		bad := w.accept("bad", "bad", "bad")
		stop := w.run()
		defer stop()
		pass(2 * time.Hour)
		for _, id := range bad {
			if st := w.event(id); st.State != event.Parked {
				t.Errorf("event %s is %s, want parked", id, st.State)
			}
		}
		got := slack.got()
		if len(got) != 2 || !strings.Contains(got[0].Text, bad[0]) || got[1].at.Sub(got[0].at) != time.Hour {
			t.Errorf("Slack was told %q, want the first at once and a count an hour later", slack.texts())
		}
	})
}

func TestWhole_ARestartInTheMiddleOfASendRepeatsItMarkedAndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		slack := &far{}
		first := slackTo(slack)
		first.Limiter = rate.NewLimiter(rate.Every(time.Hour), 1)
		first.Limiter.Allow() // nothing is left for this process
		w.senders = []dispatch.Sender{first}
		w.accept("open txn_1 edi-slack")
		stop := w.run()
		pass(time.Second)
		stop()
		// A process claims the delivery, may have sent it, and dies.
		if d, _, err := w.store.Claim(context.Background(), "edi-slack", time.Hour); d == nil {
			t.Fatalf("nothing to claim (%v)", err)
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.senders = []dispatch.Sender{slackTo(slack)}
		stop = w.run()
		defer stop()
		synctest.Wait()
		if got := slack.got(); len(got) != 1 || !got[0].Unclear || got[0].Attempts != 1 {
			t.Fatalf("after the restart Slack was told %d times, want once, at once, marked as a possible repeat", len(got))
		}
		if texts := said(w); !slices.ContainsFunc(texts, func(s string) bool { return strings.HasSuffix(s, "may be a repeat") }) {
			t.Errorf("the timeline says %q, want it to name the possible repeat", texts)
		}
	})
}

func TestWhole_NothingIsLostOrDoubledOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		slack, pager := &far{}, &far{}
		pager.answer = func(_ incident.Delivery, nth int) error {
			switch nth % 3 {
			case 0:
				return notifiers.Wait(time.Second, errors.New("429"))
			case 1:
				return errors.New("500")
			}
			return nil
		}
		w.senders = append(w.senders, slackTo(slack), pagerTo(pager))
		const failures = 60
		for round := range 6 {
			for n := range failures / 6 {
				w.accept(fmt.Sprintf("open txn_%d edi-pager,edi-slack", 10*round+n))
			}
			stop := w.run()
			pass(time.Duration(round) * 100 * time.Millisecond)
			stop()
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			w.open()
		}
		stop := w.run()
		defer stop()
		pass(time.Hour)
		for _, notifier := range []string{"edi-slack", "edi-pager"} {
			told := map[string]int{}
			for _, d := range w.deliveries(notifier) {
				if d.Kind == incident.Opening && d.State == incident.Sent {
					told[d.Incident]++
				}
			}
			if len(told) != failures {
				t.Errorf("%s was told of %d incidents, want %d", notifier, len(told), failures)
			}
			for id, n := range told {
				if n != 1 {
					t.Errorf("%s was told %d times of %s", notifier, n, id)
				}
			}
		}
		posts := slices.DeleteFunc(kinds(slack), func(k incident.DeliveryKind) bool { return k != incident.Opening })
		if len(posts) != failures {
			t.Errorf("Slack was called %d times for openings, want %d: a stop ends what is in hand", len(posts), failures)
		}
	})
}

// A note that comes as its hour ends must not be counted into a window that
// the timer has closed meanwhile: nobody would ever hear of it, nor of what
// comes after it.
func TestWhole_ANoteAtTheEndOfItsHourIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = machine()
		slack := &far{}
		w.senders = append(w.senders, slackTo(slack))
		first := w.accept("note first")[0]
		w.apply = func(p incident.Plan, do func() error) error {
			if p.Event != "" && p.Event != first {
				<-time.After(2 * time.Second) // the hour ends between loading and applying
			}
			return do()
		}
		stop := w.run()
		defer stop()
		pass(time.Hour - time.Second)
		if len(slack.got()) != 1 {
			t.Fatalf("Slack was told %q, want the first note", slack.texts())
		}
		w.accept("note second")
		pass(2 * time.Hour)
		if len(slack.got()) != 2 {
			t.Errorf("Slack was told %q, want the second note too", slack.texts())
		}
	})
}
