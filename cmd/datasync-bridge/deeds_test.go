package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/notifiers/standin"
)

// TestANotifierThatFailsDelaysNeitherTheOtherNorTheReceiver lets Slack or
// PagerDuty fail in every way, and then be well again.
func TestANotifierThatFailsDelaysNeitherTheOtherNorTheReceiver(t *testing.T) {
	t.Parallel()
	const page = "<html><body>Down for maintenance</body></html>"
	for _, tt := range []struct {
		name         string
		slack, pager standin.Fault
	}{
		{"Slack down", standin.Fault{Reset: true}, standin.Fault{}},
		{"Slack slow", standin.Fault{Delay: 4 * time.Second}, standin.Fault{}},
		{"Slack answering a web page", standin.Fault{Status: http.StatusOK, Body: page}, standin.Fault{}},
		{"Slack answering half a JSON", standin.Fault{Status: http.StatusOK, Body: `{"ok":`}, standin.Fault{}},
		{"PagerDuty down", standin.Fault{}, standin.Fault{Reset: true}},
		{"PagerDuty slow", standin.Fault{}, standin.Fault{Delay: 4 * time.Second}},
		{"PagerDuty answering a web page", standin.Fault{}, standin.Fault{Status: http.StatusOK, Body: page}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			far := newFarSide(t)
			far.slack.SetFaults(func(int, *http.Request) standin.Fault { return tt.slack })
			far.pager.SetFaults(func(int, *http.Request) standin.Fault { return tt.pager })
			failing, well := func() int { return len(far.roots()) }, func() int { return len(far.pager.Alerts()) }
			if tt.slack == (standin.Fault{}) {
				failing, well = well, failing
			}
			s := startServe(t, configuration(t, far.url, pageShipNotices))
			for n := range 5 {
				began := time.Now()
				s.accept(happening{id: n, kind: "transaction.failed", transaction: n, document: "856", partner: strconv.Itoa(n)}.body())
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("an event was answered after %v", took)
				}
			}
			eventually(t, 3*time.Second, "the other one is told of all five", func() bool { return well() == 5 })
			if n := failing(); n > 0 {
				t.Fatalf("%d were taken by the one that should fail", n)
			}
			far.slack.SetFaults(nil)
			far.pager.SetFaults(nil)
			eventually(t, 30*time.Second, "it is told of all five once it is well", func() bool { return failing() == 5 })
		})
	}
}

// idOf is the id in the first row of a listing.
func (s *served) idOf(args ...string) string {
	s.t.Helper()
	rows := listJSON[struct{ ID string }](s.t, append(args, "-c", s.config)...)
	if len(rows) == 0 {
		s.t.Fatalf("%v lists nothing", args)
	}
	return rows[0].ID
}

func TestPeopleRetryAcknowledgeAndResolveThroughTheRunningBridge(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	far.slack.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Word: "channel_not_found"} })
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	s.accept(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "856", partner: "01"}.body())
	type delivery struct{ ID, State, Notifier, Error string }
	var dead []delivery
	eventually(t, 20*time.Second, "Slack's refusal is on the dead list", func() bool {
		dead = listJSON[delivery](t, "deliveries", "list", "--state", "dead", "-c", s.config)
		return len(dead) == 1
	})
	if dead[0].Notifier != "ops" || !strings.Contains(dead[0].Error, "channel_not_found") {
		t.Errorf("dead %+v, want ops with Slack's own word", dead[0])
	}
	if o := s.command("deliveries", "retry", "dl_0000000000000"); o.code != exitFailed || !strings.Contains(o.err, "dl_0000000000000") {
		t.Errorf("retrying what does not exist: %v", o)
	}

	id := s.idOf("incidents")
	eventually(t, 20*time.Second, "the list says that ops, and it alone, was not told", func() bool {
		return strings.Contains(s.works("incidents"), "pager, ops (failed)")
	})
	if shown := s.works("incidents", "show", id); !strings.Contains(shown, "NOT told, given up: slack refused: channel_not_found") {
		t.Errorf("the incident does not say why ops was not told:\n%s", shown)
	}
	if verdict := s.works("explain", id); !strings.Contains(verdict, "NOT posted ops: slack refused: channel_not_found") {
		t.Errorf("the verdict does not say that ops was not told:\n%s", verdict)
	}

	far.slack.SetFaults(nil)
	s.works("deliveries", "retry", dead[0].ID)
	eventually(t, 20*time.Second, "the retried message is in Slack", func() bool { return len(far.roots()) == 1 })
	eventually(t, 20*time.Second, "the list takes the mark away", func() bool {
		list := s.works("incidents")
		return strings.Contains(list, "ops") && !strings.Contains(list, "ops (")
	})
	s.works("incidents", "acknowledge", id, "--why", "calling Partner 01")
	eventually(t, 20*time.Second, "Slack and PagerDuty see the acknowledgement", func() bool {
		return far.pager.Alerts()[0].State == standin.Acknowledged && far.slackSays("calling Partner 01")
	})
	if o := s.command("incidents", "resolve", id); o.code != exitUsage {
		t.Errorf("resolve without --why: %v, want exit 2", o)
	}
	s.works("incidents", "resolve", id, "--why", "receipt confirmed by phone")
	eventually(t, 20*time.Second, "Slack and PagerDuty see the end", func() bool {
		return far.pager.Alerts()[0].State == standin.Resolved && says(far.roots()[0], "CLOSED BY HAND") && far.slackSays("receipt confirmed by phone")
	})
	if o := s.command("incidents", "resolve", id, "--why", "again"); o.code != exitFailed || o.err == "" {
		t.Errorf("resolving what is over: %v, want exit 1", o)
	}
	checkTimeline(t, s, id)
}

// checkTimeline holds that both deeds are recorded with who did them.
func checkTimeline(t *testing.T, s *served, id string) {
	t.Helper()
	var shown struct {
		State    string
		Timeline []struct{ Text, By string }
	}
	if err := json.Unmarshal([]byte(s.works("incidents", "show", id, "-o", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	mine := 0
	for _, entry := range shown.Timeline {
		if strings.HasPrefix(entry.By, "local:") {
			mine++
		}
	}
	if shown.State != "resolved" || mine < 2 {
		t.Errorf("%s is %s with %d deeds of a local user, want resolved with both: %+v", id, shown.State, mine, shown.Timeline)
	}
}

func TestPeopleAcknowledgeAndResolveOnTheFileWhileNoServeRuns(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	told := func() bool { return len(far.pager.Alerts()) == 2 && len(far.roots()) == 2 }
	for n := range 2 {
		s.accept(happening{id: n, kind: "transaction.failed", transaction: n, document: "856", partner: strconv.Itoa(n)}.body())
	}
	eventually(t, 20*time.Second, "both failures are told", told)
	calm(t, openStore(t, s.config))
	if code := s.stop(); code != exitOK {
		t.Fatalf("serve ended with %d", code)
	}
	calls := len(far.pager.Requests()) + len(far.slack.Requests())
	incidents := listJSON[struct{ ID string }](t, "incidents", "-c", s.config)
	if len(incidents) != 2 {
		t.Fatalf("%d incidents, want 2", len(incidents))
	}
	works(t, nil, "incidents", "acknowledge", incidents[0].ID, "--why", "mine", "-c", s.config)
	works(t, nil, "incidents", "resolve", incidents[1].ID, "--why", "seen on their portal", "-c", s.config)
	if n := len(far.pager.Requests()) + len(far.slack.Requests()); n != calls {
		t.Errorf("%d calls were made without a serve", n-calls)
	}
	startServe(t, s.config)
	eventually(t, 20*time.Second, "a restart tells Slack and PagerDuty of both", func() bool {
		states := map[string]standin.AlertState{}
		for _, a := range far.pager.Alerts() {
			states[a.DedupKey] = a.State
		}
		return states[incidents[0].ID] == standin.Acknowledged && states[incidents[1].ID] == standin.Resolved &&
			far.slackSays("seen on their portal") && far.slackSays("CLOSED BY HAND")
	})
	if len(far.pager.Alerts()) != 2 || len(far.roots()) != 2 {
		t.Errorf("%d alerts and %d messages, want two of each", len(far.pager.Alerts()), len(far.roots()))
	}
}

// slackSays reports whether any message, replies among them, holds the words.
func (f *farSide) slackSays(words string) bool {
	for _, m := range f.slack.Messages(testChannel) {
		if says(m, words) {
			return true
		}
	}
	return false
}
