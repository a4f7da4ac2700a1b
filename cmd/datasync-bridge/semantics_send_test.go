package main

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
)

func TestRouting27_WhatWasNeverAttemptedIsDroppedOrToldInOne(t *testing.T) {
	rehearse(t, andHook+strings.Replace(paged, "[pager, ops]", "[pager, ops, hook]", 1), func(r *rehearsal) {
		down := func(int, *http.Request) standin.Fault { return standin.Fault{Status: 429, RetryAfter: "120"} }
		r.slack.SetFaults(down)
		r.pager.SetFaults(down)
		r.failed("txn_0", "partner.id", "par_0") // meets the 429
		r.failed("txn_1")
		r.delivered("txn_1")
		r.slack.SetFaults(nil)
		r.pager.SetFaults(nil)
		r.pass(2 * time.Minute)
		r.wants("PagerDuty", "trigger A") // that of txn_0
		calls := r.news("Slack")
		told := 0
		for _, c := range calls {
			if strings.Contains(c.text, "RESOLVED") {
				told++
				if !strings.Contains(c.text, "before it could be told") {
					t.Errorf("%s does not say that it opened and ended: %s", c.deed, c.text)
				}
			}
		}
		if told != 2 || len(calls) != 4 {
			t.Errorf("%d ends in %d calls, want one message each to ops and hook, beside two openings", told, len(calls))
		}
	})
}

func TestRouting27_EditsWaitASecondAndTheNewestReplacesTheRest(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_0")
		r.quiet()
		began := time.Now()
		for i := range 8 {
			r.accept("transaction.failed", "transaction.id", "txn_"+string(rune('a'+i)), "partner.id", "par_1", "error.category", "connectivity")
			r.pass(300 * time.Millisecond)
		}
		r.pass(2 * time.Second)
		calls := r.news("Slack")
		if len(calls) != 2 || calls[0].deed != "edit" {
			r.t.Fatalf("%d calls for eight changes in 2.1 s, want two edits", len(calls))
		}
		if wait := calls[0].at.Sub(began); wait < time.Second || wait > 1100*time.Millisecond {
			t.Errorf("the first edit came after %v, want a second", wait)
		}
		r.says(calls[1], "9 open")
	})
}

func TestRouting28_A429PausesItsNotifierAloneAndTheFallbackDoesNotWaitForIt(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.pager.SetFaults(func(int, *http.Request) standin.Fault {
			return standin.Fault{Status: 429, RetryAfter: "7200", Body: "slow down"}
		})
		r.failed("txn_1")
		r.failed("txn_2", "partner.id", "par_2")
		r.wants("Slack", "post, post")
		r.pass(3 * time.Minute)
		for _, c := range r.wants("Slack", "broadcast, broadcast") {
			if text, _, _ := strings.Cut(c.text, "\n"); !strings.HasPrefix(text, "NOT PAGED: PagerDuty did not accept") {
				t.Errorf("the fallback begins %q", text)
			}
		}
		if n := len(r.pager.Requests()); n != 1 {
			t.Errorf("%d calls during the pause, want 1", n)
		}
		r.pager.SetFaults(nil)
		r.pass(11 * time.Minute)
		r.wants("PagerDuty", "")
		r.pass(time.Minute) // fifteen at most
		r.wants("PagerDuty", "trigger A, trigger B")
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A")
	})
}

func TestRouting29_ARefusalFallsBackAtOnceAndOnlyAlarmsDo(t *testing.T) {
	rehearse(t, `
defaults: {notify: [pager]}
`, func(r *rehearsal) {
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 400, Body: "Invalid routing key"} })
		r.failed("txn_1")
		r.says(r.wants("Slack", "post")[0], "NOT PAGED: PagerDuty did not accept", "Invalid routing key")
		r.pass(10 * time.Minute)
		r.wants("Slack", "")
		r.delivered("txn_1")
		r.wants("Slack", "reply, edit")
		r.pass(10 * time.Minute)
		r.wants("Slack", "")
	})
}

func TestRouting29_ARestartNeitherLosesNorDoublesAFallback(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Reset: true} })
		r.failed("txn_1")
		r.wants("Slack", "post")
		for range 5 {
			r.pass(time.Minute)
			r.end()
			r.begin(paged)
		}
		r.pager.SetFaults(nil)
		r.pass(2 * time.Minute)
		r.says(r.wants("Slack", "broadcast")[0], "NOT PAGED: PagerDuty did not accept")
		r.wants("PagerDuty", "trigger A")
	})
}

func TestRouting29_AFallbackThatWaitsDoesNotKeepTheMessageOpen(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 503} })
		r.failed("txn_1")
		r.wants("Slack", "post")
		r.slack.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 429, RetryAfter: "300"} })
		r.failed("txn_2", "partner.id", "par_2") // meets Slack's pause
		r.pass(3 * time.Minute)
		r.delivered("txn_1")
		r.slack.SetFaults(nil)
		r.pass(5 * time.Minute)
		if m := r.slack.Messages("C1")[0]; !strings.Contains(m.Text, "RESOLVED") {
			t.Errorf("the message still says %q", m.Text)
		}
	})
}

func TestRouting41_AnEventThatCannotBePlannedIsParkedAndTold(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		body := []byte(`{"id":"bad","type":"transaction.failed"}`)
		bad := r.acceptBody(body, sha256.Sum256([]byte("other bytes")))
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.pass(time.Minute)
		r.says(r.wants("Slack", "post, post")[1], bad, "NO RULE WAS APPLIED")
		if st, err := r.store.Event(context.Background(), bad); err != nil || st.State != event.Parked {
			t.Errorf("the event is %s (%v), want parked", st.State, err)
		}
	})
}
