package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

// pageShipNotices is the rest of a configuration that tells Slack of everything
// and pages for ship notices.
const pageShipNotices = `
defaults:
  notify: [ops]
rules:
  - name: page-ship-notices
    match: {transaction.document_type: "856"}
    severity: critical
    notify: [pager, ops]
`

func TestSixteenPostsAtOnceAreOneEventOneMessageAndOnePage(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	body := happening{id: 1, kind: "transaction.failed", transaction: 1, document: "856", partner: "01"}.body()
	answers := make([]answer, 16)
	var posts sync.WaitGroup
	gate := make(chan struct{})
	for i := range answers {
		posts.Go(func() {
			<-gate
			var err error
			if answers[i], err = post(hurried, s.public, body); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	posts.Wait()
	codes := map[string]int{}
	for _, a := range answers {
		codes[fmt.Sprint(a.Status, " ", a.Code)]++
		if a.EventID == "" || a.EventID != answers[0].EventID {
			t.Errorf("event_id %q beside %q: one event has one id", a.EventID, answers[0].EventID)
		}
	}
	if codes["202 accepted"] != 1 || codes["200 duplicate"] != 15 {
		t.Errorf("answers %v, want one 202 accepted and fifteen 200 duplicate", codes)
	}
	store := openStore(t, s.config)
	eventually(t, 20*time.Second, "Slack and PagerDuty were told", func() bool {
		return len(far.roots()) > 0 && len(far.pager.Alerts()) > 0
	})
	calm(t, store)
	events, err := store.Events(t.Context(), incident.Filter{})
	if err != nil || len(events) != 1 || events[0].Duplicates != 15 {
		t.Errorf("the store holds %d events (%v), want one with 15 duplicates", len(events), err)
	}
	if n := len(far.slack.Messages(testChannel)); n != 1 {
		t.Errorf("%d Slack messages, want 1", n)
	}
	if n := len(far.pager.Requests()); n != 1 || len(far.pager.Alerts()[0].History) != 1 {
		t.Errorf("%d calls to PagerDuty, want one trigger", n)
	}
}

// TestAnOutageIsOneMessageAndPagesWhenACriticalDocumentJoins plays forty
// failures of one partner, of documents that do not page. Nothing in the
// configuration groups them: failures of a connection have one cause.
func TestAnOutageIsOneMessageAndPagesWhenACriticalDocumentJoins(t *testing.T) {
	t.Parallel()
	const documents, critical = 40, 41
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	store := openStore(t, s.config)
	serial := 0
	say := func(kind string, txn int) {
		serial++
		document := "850"
		if txn == critical {
			document = "856"
		}
		s.accept(happening{id: serial, kind: kind, transaction: txn, document: document, partner: "07"}.body())
	}

	for txn := range documents {
		say("transaction.failed", txn)
	}
	calm(t, store)
	roots := far.roots()
	if len(roots) != 1 || len(far.slack.Messages(testChannel)) != 1 {
		t.Fatalf("%d failures of one partner gave %d Slack messages, want 1", documents, len(far.slack.Messages(testChannel)))
	}
	if len(roots[0].Earlier) == 0 || !says(roots[0], fmt.Sprintf("850 purchase order ×%d", documents)) {
		t.Errorf("the one message was edited %d times and does not count %d documents: %s", len(roots[0].Earlier), documents, roots[0].Readable())
	}
	if n := len(far.pager.Requests()); n != 0 {
		t.Fatalf("PagerDuty was called %d times for documents that do not page", n)
	}

	say("transaction.failed", critical)
	calm(t, store)
	alerts := far.pager.Alerts()
	if len(alerts) != 1 || alerts[0].State != standin.Triggered || alerts[0].Severity != "critical" {
		t.Fatalf("after a critical document joined: alerts %+v, want one, triggered, critical", alerts)
	}
	if n := len(far.roots()); n != 1 {
		t.Errorf("%d Slack messages after the critical document, want still 1", n)
	}

	for txn := range documents {
		say("transaction.delivered", txn)
	}
	calm(t, store)
	if alert := far.pager.Alerts()[0]; alert.State != standin.Triggered {
		t.Errorf("PagerDuty's alert is %s while one document is not delivered", alert.State)
	}
	if root := far.roots()[0]; says(root, "RESOLVED") {
		t.Errorf("Slack says resolved while one document is not delivered: %s", root.Readable())
	}

	say("transaction.delivered", critical)
	calm(t, store)
	alerts = far.pager.Alerts()
	if len(alerts) != 1 || alerts[0].State != standin.Resolved || len(alerts[0].History) != 2 {
		t.Errorf("after the last delivery: alerts %+v, want one, triggered once and resolved once", alerts)
	}
	if roots = far.roots(); len(roots) != 1 || !says(roots[0], "RESOLVED") {
		t.Errorf("after the last delivery Slack has %d messages, want one that says resolved: %s", len(roots), roots[0].Readable())
	}
	if incidents, err := store.Incidents(t.Context(), incident.Filter{}); err != nil || len(incidents) != 1 {
		t.Errorf("%d incidents (%v), want 1", len(incidents), err)
	}
}

func TestAFailureWithoutRecoveryClosesUnconfirmedAndTheNextAlertsAgain(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url,
		strings.Replace(pageShipNotices, "notify: [ops]", "notify: [ops]\n  close_after: 2s", 1)))
	fail := func(id int) {
		s.accept(happening{id: id, kind: "transaction.failed", transaction: 1, document: "856", partner: "01"}.body())
	}
	open := func() int {
		return len(slices.DeleteFunc(far.pager.Alerts(), func(a standin.Alert) bool { return a.State == standin.Resolved }))
	}
	began := time.Now()
	fail(1)
	eventually(t, 20*time.Second, "the failure pages", func() bool { return len(far.pager.Alerts()) == 1 })
	eventually(t, 20*time.Second, "the page ends by itself", func() bool { return open() == 0 })
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("closed after %v, before close_after", took)
	}
	eventually(t, 20*time.Second, "Slack says that no recovery was seen", func() bool {
		roots := far.roots()
		return len(roots) == 1 && says(roots[0], "no recovery seen")
	})
	first := listJSON[struct{ ID, State, Resolution string }](t, "incidents", "-c", s.config)
	if len(first) != 1 || first[0].State != "resolved" || first[0].Resolution != "unconfirmed" {
		t.Errorf("incidents %+v, want one, resolved as unconfirmed", first)
	}

	fail(2)
	eventually(t, 20*time.Second, "the next failure of it pages and posts anew", func() bool {
		return len(far.pager.Alerts()) == 2 && len(far.roots()) == 2
	})
	alerts := far.pager.Alerts()
	if alerts[0].DedupKey == alerts[1].DedupKey {
		t.Errorf("both alerts have the key %s: the second was no new incident", alerts[0].DedupKey)
	}
	if both := listJSON[struct{ ID string }](t, "incidents", "-c", s.config); len(both) != 2 || both[0].ID == both[1].ID {
		t.Errorf("incidents %+v, want two", both)
	}
}

// TestAStoppedBridgeAnswersWhatItTookAndGoesOnAfterwards stops serve in the
// middle of load.
func TestAStoppedBridgeAnswersWhatItTookAndGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	// Slow enough that sends are in hand when the signal comes.
	slow := func(int, *http.Request) standin.Fault { return standin.Fault{Delay: 50 * time.Millisecond} }
	far.slack.SetFaults(slow)
	far.pager.SetFaults(slow)
	config := configuration(t, far.url, pageShipNotices)
	s := startServe(t, config)
	tr := newTraffic(1)
	stop := tr.flow(s, 8)
	eventually(t, 20*time.Second, "a hundred events are in and Slack is told", func() bool {
		return len(tr.known()) > 100 && len(far.slack.Requests()) > 0
	})
	began := time.Now()
	code := s.stop()
	took := time.Since(began)
	stop()
	t.Logf("stopped in %v with %d events answered 2xx", took.Round(time.Millisecond), len(tr.accepted))
	if code != exitOK || took > 15*time.Second {
		t.Errorf("serve ended with %d after %v, want 0 within 15 s\n%s", code, took, s.log())
	}
	store := openStore(t, config)
	for id, body := range tr.accepted {
		if st, err := store.Event(t.Context(), id); err != nil || string(st.Body) != body {
			t.Errorf("event %s was answered 2xx and is not there as posted: %v", id, err)
		}
	}
	waiting, err := store.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if waiting.Pending+sum(waiting.Waiting) == 0 {
		t.Error("nothing was left to do: the stop did not come in the middle of anything")
	}

	far.slack.SetFaults(nil)
	far.pager.SetFaults(nil)
	told := len(far.pager.Requests())
	s = startServe(t, config)
	eventually(t, 30*time.Second, "what was queued goes out after the restart", func() bool {
		stats, err := store.Stats(t.Context())
		return err == nil && stats.Pending == 0 && stats.Waiting["pager"] == 0
	})
	if waiting.Waiting["pager"] > 0 && len(far.pager.Requests()) == told {
		t.Error("nothing went out after the restart")
	}
	for _, dropped := range far.pager.Dropped() {
		t.Errorf("a %s of %s found no open alert", dropped.Action, dropped.DedupKey)
	}
	s.accept(happening{id: 1 << 20, kind: "transaction.failed", transaction: 1 << 20, document: "856", partner: "01"}.body())
}
