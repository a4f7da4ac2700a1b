package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestSenders_AStopEndsTheCallInHandAndClaimsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slack := &far{answer: func(incident.Delivery, int) error { <-time.After(8 * time.Second); return nil }}
		w.senders = append(w.senders, slackTo(slack))
		w.accept("open acme edi-slack", "open globex edi-slack")
		stop := w.run()
		pass(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("stopping took %v, want the 7 s that the call still needed", took)
		}
		got := w.deliveries("edi-slack")
		if got[0].State != incident.Sent || got[1].State != incident.Waiting || got[1].Attempts != 0 {
			t.Errorf("the first is %s, the second %s after %d attempts; want sent, and waiting untouched", got[0].State, got[1].State, got[1].Attempts)
		}
	})
}

func TestSenders_ASettlementIsRepeatedUntilItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slack := &far{}
		w.senders = append(w.senders, slackTo(slack))
		back := time.Now().Add(30 * time.Second)
		w.settle = func(_ incident.Settlement, do func() error) error {
			if time.Now().Before(back) {
				return event.ErrBusy
			}
			return do()
		}
		w.accept("open acme edi-slack")
		stop := w.run()
		defer stop()
		pass(time.Minute)
		if d := w.deliveries("edi-slack")[0]; d.State != incident.Sent || len(slack.got()) != 1 {
			t.Errorf("it is %s after %d calls, want sent after one", d.State, len(slack.got()))
		}
	})
}

func TestSenders_ALostLeaseIsSentAgainAndMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slack := &far{}
		w.senders = append(w.senders, slackTo(slack))
		back := time.Now().Add(70 * time.Second)
		w.settle = func(_ incident.Settlement, do func() error) error {
			if time.Now().Before(back) {
				return event.ErrUnavailable
			}
			return do()
		}
		w.accept("open acme edi-slack")
		stop := w.run()
		defer stop()
		pass(10 * time.Minute)
		got := slack.got()
		if len(got) != 2 || got[0].Unclear || !got[1].Unclear {
			t.Fatalf("%d calls; want a second one, marked as a possible repeat", len(got))
		}
		if d := w.deliveries("edi-slack")[0]; d.State != incident.Sent {
			t.Errorf("in the end it is %s, want sent", d.State)
		}
	})
}
