package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// TestNothingIsLostWhenServeIsKilled kills the real process twenty times at
// random moments under load, while Slack and PagerDuty fail a third of the
// time, and then holds what they were told against what was answered 2xx.
func TestNothingIsLostWhenServeIsKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("BRIDGE_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (repeat with BRIDGE_TEST_SEED)", seed)
	far := newFarSide(t)
	configPath := configuration(t, far.url, `
defaults:
  notify: [ops]
  group: {by: [partner.id, class]}
rules:
  - name: page-ship-notices
    match: {transaction.document_type: "856"}
    severity: critical
    notify: [pager, ops]
`)
	tr := newTraffic(seed)
	misbehave(far, seed)
	const kills = 20
	for range kills {
		s := startServe(t, configPath)
		tr.load(s, time.Duration(100+tr.rng.IntN(500))*time.Millisecond)
	}
	far.slack.SetFaults(nil)
	far.pager.SetFaults(nil)
	s := startServe(t, configPath)
	tr.repost(s)
	store := openStore(t, configPath)
	calm(t, store)
	if code := s.stop(); code != 0 {
		t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
	}
	t.Logf("%d kills, %d events answered 2xx, %d posts without an answer, %d calls to Slack, %d to PagerDuty",
		kills, len(tr.accepted), tr.silences, len(far.slack.Requests()), len(far.pager.Requests()))
	if len(tr.accepted) < 200 {
		t.Errorf("only %d events were accepted: too little load to show anything", len(tr.accepted))
	}
	checkEvents(t, store, far, tr)
	checkPages(t, store, far)
	checkRepeats(t, far)
}

// misbehave makes a third of all calls fail, by 429, 500 and resets, some of
// the resets after the work was done.
func misbehave(far *farSide, seed uint64) {
	script := func(salt uint64) standin.Faults {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(seed, salt))
		return func(int, *http.Request) standin.Fault {
			mu.Lock()
			defer mu.Unlock()
			switch rng.IntN(12) {
			case 0:
				return standin.Fault{Status: http.StatusTooManyRequests, RetryAfter: "1"}
			case 1:
				return standin.Fault{Status: http.StatusInternalServerError}
			case 2:
				return standin.Fault{Reset: true}
			case 3:
				return standin.Fault{Reset: true, Acted: true}
			}
			return standin.Fault{}
		}
	}
	far.slack.SetFaults(script(2))
	far.pager.SetFaults(script(3))
}

// calm waits, at most a minute, until nothing is pending and nothing unsent.
func calm(t *testing.T, store *sqlite.Store) {
	t.Helper()
	var last sqlite.Stats
	began := time.Now()
	eventually(t, time.Minute, "every event is planned and every delivery sent", func() bool {
		stats, err := store.Stats(context.Background())
		if err != nil {
			return false
		}
		last = stats
		return stats.Pending == 0 && sum(stats.Waiting) == 0
	})
	t.Logf("calm after %v", time.Since(began).Round(time.Millisecond))
	if last.Parked > 0 || sum(last.Dead) > 0 {
		t.Errorf("%d events were parked, %d deliveries died", last.Parked, sum(last.Dead))
	}
}

func sum(byName map[string]int) int {
	total := 0
	for _, n := range byName {
		total += n
	}
	return total
}

// checkEvents holds every event that was answered 2xx against what was told.
func checkEvents(t *testing.T, store *sqlite.Store, far *farSide, tr *traffic) {
	t.Helper()
	told := map[string]string{} // incident → why it counts as not told
	for id, body := range tr.accepted {
		st, err := store.Event(t.Context(), id)
		if err != nil {
			t.Errorf("event %s was answered 2xx and is lost: %v", id, err)
			continue
		}
		if string(st.Body) != body {
			t.Errorf("event %s holds another body than was posted", id)
		}
		var d incident.Decision
		if err := json.Unmarshal(st.Decision, &d); err != nil {
			t.Errorf("event %s has no decision: %v", id, err)
			continue
		}
		if d.Effect != event.Open || d.Outcome == incident.Outdated {
			continue
		}
		if d.Incident == "" {
			t.Errorf("event %s is a failure without an incident (%s)", id, d.Outcome)
			continue
		}
		why, seen := told[d.Incident]
		if !seen {
			why = untold(t, store, far, d.Incident)
			told[d.Incident] = why
		}
		if why != "" {
			t.Errorf("event %s has no alert: %s", id, why)
		}
	}
	if len(told) == 0 {
		t.Error("no incident was opened at all")
	}
}

// untold says why an incident's notifiers do not know of it, "" if they do.
func untold(t *testing.T, store *sqlite.Store, far *farSide, id string) string {
	t.Helper()
	inc, err := store.Incident(t.Context(), id)
	if err != nil {
		return err.Error()
	}
	deliveries, err := store.Deliveries(t.Context(), incident.Filter{Incident: id, Limit: 1000})
	if err != nil {
		return err.Error()
	}
	if len(inc.Told) == 0 {
		return id + " was told to nobody"
	}
	for _, telling := range inc.Told {
		reached := false
		for _, d := range deliveries {
			ends := d.Kind == incident.Resolve || d.Kind == incident.Opening && d.State == incident.Dropped
			if d.Notifier == telling.Notifier && (d.Kind.Alarms() && d.State == incident.Sent || ends) {
				reached = reached || d.Notifier == "pager" || ends || holdsRef(far, d.Ref)
			}
		}
		if !reached {
			return fmt.Sprintf("%s was not told of %s", telling.Notifier, id)
		}
	}
	return ""
}

// holdsRef reports whether Slack has the message that a delivery refers to. A
// reply (an alarm anew) has no reference of its own.
func holdsRef(far *farSide, ref string) bool {
	if ref == "" {
		return true
	}
	for _, m := range far.slack.Messages(testChannel) {
		if strings.HasSuffix(ref, m.TS) {
			return true
		}
	}
	return false
}

// checkPages holds PagerDuty's alerts against the incidents: one open alert per
// open incident and alarm, none for a resolved one, none doubled, and no
// resolve before its trigger.
func checkPages(t *testing.T, store *sqlite.Store, far *farSide) {
	t.Helper()
	opened, open := map[string]int{}, map[string]int{}
	for _, a := range far.pager.Alerts() {
		opened[a.DedupKey]++
		if a.State != standin.Resolved {
			open[a.DedupKey]++
		}
	}
	if len(opened) == 0 {
		t.Error("PagerDuty was never told anything")
	}
	for key, n := range opened {
		id, alarm, _ := strings.Cut(key, "#")
		inc, err := store.Incident(t.Context(), id)
		if err != nil {
			t.Errorf("PagerDuty has an alert %s without an incident: %v", key, err)
			continue
		}
		if n > 1+len(inc.Reopenings) {
			t.Errorf("alert %s was opened %d times, its incident came back %d times", key, n, len(inc.Reopenings))
		}
		if inc.State == incident.Resolved && open[key] > 0 {
			t.Errorf("alert %s is open, its incident is over", key)
		}
		if inc.State == incident.Open && alarm == "" && open[key] != 1 {
			t.Errorf("incident %s is open, and has %d open alerts", id, open[key])
		}
	}
	for _, dropped := range far.pager.Dropped() {
		if opened[dropped.DedupKey] == 0 {
			t.Errorf("a %s of %s came without any trigger", dropped.Action, dropped.DedupKey)
		}
	}
}

// checkRepeats counts what Slack got twice: a call whose answer was lost may be
// repeated, and then says so.
func checkRepeats(t *testing.T, far *farSide) {
	t.Helper()
	posted := map[string]int{}
	repeats := 0
	for _, m := range far.slack.Messages(testChannel) {
		first := string(m.Blocks)
		if len(m.Earlier) > 0 { // an edit brings its own id
			first = string(m.Earlier[0].Blocks)
		}
		delivery := deliveryID(first)
		if delivery == "" {
			t.Errorf("a message names no delivery: %s", m.Text)
			continue
		}
		posted[delivery]++
		if posted[delivery] > 1 {
			repeats++
			if !says(m, "may be a repeat") {
				t.Errorf("delivery %s was posted again without saying so: %s", delivery, m.Text)
			}
		}
	}
	t.Logf("%d Slack messages, %d of them repeats, each marked", len(posted)+repeats, repeats)
}

var deliveryInBlock = regexp.MustCompile(`"block_id":"(dl_[0-9a-v]+)`)

// deliveryID finds the delivery's id in a message's blocks.
func deliveryID(blocks string) string {
	found := deliveryInBlock.FindStringSubmatch(blocks)
	if found == nil {
		return ""
	}
	return found[1]
}
