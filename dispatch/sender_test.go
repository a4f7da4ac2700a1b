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

	"datasync-bridge/dispatch"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

var errDown = errors.New("status 503")

// since gives the times of calls, counted from start.
func since(start time.Time, calls []call) (out []time.Duration) {
	for _, c := range calls {
		out = append(out, c.at.Sub(start))
	}
	return out
}

func seconds(all ...float64) (out []time.Duration) {
	for _, s := range all {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return out
}

func said(w *world) (out []string) {
	for _, e := range w.timeline() {
		out = append(out, e.Text)
	}
	return out
}

func TestRouting28_BacksOffAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pager := &far{answer: func(incident.Delivery, int) error { return errDown }}
		s := pagerTo(pager)
		s.Retry = dispatch.Retry{GiveUpAfter: 3 * time.Minute}
		w.senders = append(w.senders, s)
		start := time.Now()
		w.accept("open acme edi-pager")
		stop := w.run()
		defer stop()
		pass(time.Hour)
		want := seconds(0, 1, 3, 7, 15, 31, 63, 123, 183)
		if got := since(start, pager.got()); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		d := w.deliveries("edi-pager")[0]
		if d.State != incident.Dead || d.Error != "status 503" || d.Attempts != 9 {
			t.Errorf("in the end it is %s after %d attempts with %q", d.State, d.Attempts, d.Error)
		}
		wantSaid := []string{
			"edi-pager: attempt 1 failed: status 503; next in 1s",
			"edi-pager: opening given up after 3m3s and 9 attempts: status 503",
		}
		if got := said(w); !slices.Equal(got, wantSaid) {
			t.Errorf("the timeline says %q, want %q", got, wantSaid)
		}
	})
}

func TestRouting28_JitterSpreadsRetriesOverTheWholeWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.jitter = nil
		pager := &far{answer: func(d incident.Delivery, _ int) error {
			if d.Attempts == 0 {
				return errDown
			}
			return nil
		}}
		w.senders = append(w.senders, pagerTo(pager))
		for n := range 100 {
			w.accept(fmt.Sprintf("open k%d edi-pager", n))
		}
		start := time.Now()
		stop := w.run()
		defer stop()
		pass(2 * time.Second)
		var early, late int
		for _, c := range pager.got() {
			switch at := c.at.Sub(start); {
			case c.Attempts == 0:
			case at > time.Second+10*time.Millisecond:
				t.Errorf("a first retry came after %v, want it within a second", at)
			case at < 500*time.Millisecond:
				early++
			default:
				late++
			}
		}
		if early < 20 || late < 20 {
			t.Errorf("%d retries came in the first half second and %d in the second, want them spread", early, late)
		}
	})
}

func TestRouting28_A429PausesTheWholeNotifierAndNoOther(t *testing.T) {
	for _, tt := range []struct {
		name  string
		asked time.Duration
		want  time.Duration
	}{
		{"as long as asked", 40 * time.Second, 40 * time.Second},
		{"at most 15 minutes", 3 * time.Hour, 15 * time.Minute},
		{"30 s where there is no time", 0, 30 * time.Second},
	} {
		t.Run("28: "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				slack := &far{answer: func(_ incident.Delivery, nth int) error {
					if nth == 1 {
						return notifiers.Wait(tt.asked, errors.New("ratelimited"))
					}
					return nil
				}}
				pager := &far{}
				w.senders = append(w.senders, slackTo(slack), pagerTo(pager))
				start := time.Now()
				w.accept("open acme edi-slack", "open globex edi-slack")
				stop := w.run()
				defer stop()
				pass(time.Second)
				w.accept("open initech edi-slack,edi-pager")
				pass(time.Hour)
				if got, want := since(start, slack.got()), []time.Duration{0, tt.want, tt.want, tt.want}; !slices.Equal(got, want) {
					t.Errorf("Slack was called at %v, want %v", got, want)
				}
				if got := since(start, pager.got()); !slices.Equal(got, seconds(1)) {
					t.Errorf("the pager was called at %v, want at once", got)
				}
				if d := w.deliveries("edi-slack")[0]; d.Attempts != 1 {
					t.Errorf("the pause counted: %d attempts, want 1", d.Attempts)
				}
			})
		})
	}
}

func TestRouting28_ARefusalForGoodIsDeadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pager := &far{answer: func(d incident.Delivery, _ int) error {
			if d.Order == "acme" {
				return notifiers.Permanent(errors.New("400: 'routing_key' is invalid"))
			}
			return nil
		}}
		w.senders = append(w.senders, pagerTo(pager))
		w.accept("open acme edi-pager", "open globex edi-pager")
		stop := w.run()
		defer stop()
		pass(time.Hour)
		got := w.deliveries("edi-pager")
		slices.SortFunc(got, func(a, b incident.Delivery) int { return strings.Compare(a.Order, b.Order) })
		if got[0].State != incident.Dead || got[0].Error != "400: 'routing_key' is invalid" {
			t.Errorf("the refused one is %s with %q, want dead with the far side's words", got[0].State, got[0].Error)
		}
		if got[1].State != incident.Sent || len(pager.got()) != 2 {
			t.Errorf("the other is %s after %d calls in all, want sent after 2", got[1].State, len(pager.got()))
		}
	})
}

func TestSenders_DownSlowOrPanickingBlockNoOther(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(incident.Delivery, int) error
		state  incident.DeliveryState
	}{
		{"down", func(incident.Delivery, int) error { return errDown }, incident.Waiting},
		{"slow", func(incident.Delivery, int) error { <-time.After(9 * time.Second); return nil }, incident.Sent},
		{"panicking", func(incident.Delivery, int) error { panic("index out of range") }, incident.Waiting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				slack, pager := &far{answer: tt.answer}, &far{}
				w.senders = append(w.senders, slackTo(slack), pagerTo(pager))
				start := time.Now()
				w.accept("open acme edi-slack,edi-pager", "open globex edi-pager,edi-slack", "open initech edi-slack,edi-pager")
				stop := w.run()
				defer stop()
				pass(time.Minute)
				if got := since(start, pager.got()); !slices.Equal(got, seconds(0, 0, 0)) {
					t.Errorf("the pager was called at %v, want three times at once", got)
				}
				for _, d := range w.deliveries("edi-slack") {
					if d.State != tt.state {
						t.Errorf("for Slack %s is %s, want %s", d.Order, d.State, tt.state)
					}
				}
			})
		})
	}
}

func TestSenders_APanicMayHaveSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slack := &far{answer: func(_ incident.Delivery, nth int) error {
			if nth == 1 {
				panic("after the call")
			}
			return nil
		}}
		w.senders = append(w.senders, slackTo(slack))
		w.accept("open acme edi-slack")
		stop := w.run()
		defer stop()
		pass(time.Minute)
		if got := slack.got(); len(got) != 2 || got[0].Unclear || !got[1].Unclear {
			t.Errorf("%d calls; only the second is to be marked as a possible repeat", len(got))
		}
	})
}

// hanging answers only when its context ends.
type hanging struct{ calls []time.Duration }

func (h *hanging) Send(ctx context.Context, _ incident.Delivery) (notifiers.Receipt, error) {
	began := time.Now()
	<-ctx.Done()
	h.calls = append(h.calls, time.Since(began))
	return notifiers.Receipt{}, notifiers.Unclear(ctx.Err())
}

func TestSenders_EndACallThatHangsWithinHalfItsLease(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Minute: time.Minute} {
		t.Run(want.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				far := &hanging{}
				w.senders = append(w.senders, dispatch.Sender{Name: "edi-slack", Notifier: far, Timeout: timeout})
				var lease time.Duration
				w.claimed = func(d *incident.Delivery) { lease = time.Until(d.Lease.Until) }
				w.accept("open acme edi-slack")
				stop := w.run()
				pass(want + want/2)
				stop()
				if far.calls[0] != want {
					t.Errorf("a call was ended after %v, want %v", far.calls[0], want)
				}
				if lease < 2*want {
					t.Errorf("its lease was %v, want at least twice as long as the call", lease)
				}
			})
		})
	}
}

func TestRouting27_AResolveNeverOvertakesItsOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pager := &far{answer: func(d incident.Delivery, _ int) error {
			if d.Order == "acme" && d.Attempts < 3 && d.Kind == incident.Opening {
				return errDown
			}
			return nil
		}}
		w.senders = append(w.senders, pagerTo(pager))
		stop := w.run()
		defer stop()
		w.accept("open acme edi-pager", "settle acme edi-pager", "open globex edi-pager")
		pass(time.Minute)
		arrived := map[string][]incident.DeliveryKind{}
		for _, c := range pager.got() {
			arrived[c.Order] = append(arrived[c.Order], c.Kind)
		}
		opening := incident.Opening
		if want := []incident.DeliveryKind{opening, opening, opening, opening, incident.Resolve}; !slices.Equal(arrived["acme"], want) {
			t.Errorf("of acme the pager was told %q, want %q", arrived["acme"], want)
		}
		if want := []incident.DeliveryKind{opening}; !slices.Equal(arrived["globex"], want) {
			t.Errorf("of globex the pager was told %q, want %q", arrived["globex"], want)
		}
	})
}

func TestRouting29_ADeadOpeningFiresItsFallbackAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(incident.Delivery, int) error
		want   time.Duration
	}{
		{"refused for good", func(incident.Delivery, int) error { return notifiers.Permanent(errDown) }, 0},
		{"not accepted in time", func(incident.Delivery, int) error { return errDown }, 3 * time.Minute},
		{"pauses count", func(incident.Delivery, int) error { return notifiers.Wait(time.Hour, errDown) }, 3 * time.Minute},
	} {
		t.Run("29: "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				pager, slack := &far{answer: tt.answer}, &far{}
				w.senders = append(w.senders, pagerTo(pager), slackTo(slack))
				w.planner.fallback = 3 * time.Minute
				w.planner.onTimer = func(t incident.Timer, v incident.View) incident.Plan {
					if t.Kind != incident.FallbackTimer || v.Delivery.ID != t.Subject {
						return incident.Plan{}
					}
					return incident.Plan{Deliveries: []incident.Delivery{{
						Order: "acme", Incident: v.Delivery.Incident, Notifier: "edi-slack", Kind: incident.Fallback,
						Text: "NOT PAGED: " + v.Delivery.Error, QueuedAt: time.Now(), NextAt: time.Now(),
						Snapshot: snapshot(v.Incidents[0]),
					}}}
				}
				start := time.Now()
				w.accept("open acme edi-pager")
				stop := w.run()
				defer stop()
				pass(10 * time.Minute)
				got := slack.got()
				if len(got) != 1 || got[0].Kind != incident.Fallback || !strings.HasPrefix(got[0].Text, "NOT PAGED: status 503") {
					t.Fatalf("Slack got %v, want one fallback with the pager's words", slack.texts())
				}
				if at := got[0].at.Sub(start); at != tt.want {
					t.Errorf("the fallback came after %v, want %v", at, tt.want)
				}
			})
		})
	}
}

func TestSenders_WhatIsForANotifierThatIsGoneDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slack := &far{}
		w.senders = append(w.senders, slackTo(slack))
		w.accept("open acme old-pager,edi-slack", "settle acme old-pager")
		stop := w.run()
		defer stop()
		pass(15 * time.Minute)
		for _, d := range w.deliveries("old-pager") {
			if d.State != incident.Dead || !strings.Contains(d.Error, "no notifier of this name is configured") {
				t.Errorf("the %s for old-pager is %s with %q, want dead with the reason", d.Kind, d.State, d.Error)
			}
		}
		if len(slack.got()) != 1 {
			t.Errorf("Slack got %d messages, want its own one", len(slack.got()))
		}
		wantSaid := "old-pager: resolve refused for good: no notifier of this name is configured; add old-pager again, then retry the delivery"
		if !slices.Contains(said(w), wantSaid) {
			t.Errorf("the timeline says %q, want among it %q", said(w), wantSaid)
		}
	})
}

func TestSenders_ReachTheObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		answers := []error{notifiers.Wait(5*time.Second, errDown), notifiers.Unclear(errDown), nil}
		slack := &far{answer: func(_ incident.Delivery, nth int) error { <-time.After(time.Second); return answers[nth-1] }}
		w.senders = append(w.senders, slackTo(slack))
		var seen []dispatch.Attempt
		w.observe.Attempted = func(_ incident.Delivery, a dispatch.Attempt) { seen = append(seen, a) }
		w.accept("open acme edi-slack")
		stop := w.run()
		defer stop()
		pass(time.Minute)
		at := func(r dispatch.Result, repeat bool, age time.Duration) dispatch.Attempt {
			return dispatch.Attempt{Notifier: "edi-slack", Kind: incident.Opening, Result: r, Repeat: repeat, Took: time.Second, Age: age}
		}
		want := []dispatch.Attempt{
			at(dispatch.Paused, false, time.Second), at(dispatch.Retried, false, 7*time.Second), at(dispatch.Delivered, true, 9*time.Second),
		}
		if !slices.Equal(seen, want) {
			t.Errorf("the observer saw %+v, want %+v", seen, want)
		}
	})
}
