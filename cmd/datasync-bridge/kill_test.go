package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
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
	seed := diceSeed(t)
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

// diceSeed is of this moment, or the one that repeats a run's dice.
func diceSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("BRIDGE_TEST_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
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

// calm waits until nothing is pending and nothing unsent, as long as every
// minute brings that nearer: Slack takes one message a second of a channel.
func calm(t *testing.T, store *sqlite.Store) {
	t.Helper()
	const patience = time.Minute
	var last sqlite.Stats
	best, began := math.MaxInt, time.Now()
	nearer := began
	settled := func() bool {
		stats, err := store.Stats(context.Background())
		if err != nil {
			return false
		}
		last = stats
		if left := stats.Pending + sum(stats.Waiting); left < best {
			best, nearer = left, time.Now()
		}
		return best == 0
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !settled() {
		if time.Since(nearer) > patience {
			t.Fatalf("no progress for %v: %s", patience, unsettled(t, store, last))
		}
		<-tick.C
	}
	t.Logf("calm after %v", time.Since(began).Round(time.Millisecond))
	if last.Parked > 0 || sum(last.Dead) > 0 {
		t.Errorf("%d events were parked, %d deliveries died", last.Parked, sum(last.Dead))
	}
}

// unsettled says what still waits, and for what.
func unsettled(t *testing.T, store *sqlite.Store, stats sqlite.Stats) string {
	t.Helper()
	var story strings.Builder
	fmt.Fprintf(&story, "%d events are not planned, deliveries unsent: %v\n", stats.Pending, stats.Waiting)
	for notifier := range stats.Waiting {
		waiting, err := store.Deliveries(t.Context(), incident.Filter{Notifier: notifier, State: string(incident.Waiting), Limit: 20})
		if err != nil {
			return err.Error()
		}
		for _, d := range waiting {
			fmt.Fprintf(&story, "%s to %s about %s: %s, queued %s, due %s, %d attempts, %s\n", d.ID, d.Notifier, d.Incident, d.Kind,
				d.QueuedAt.Format(time.StampMilli), d.NextAt.Format(time.StampMilli), d.Attempts, d.Error)
		}
	}
	return story.String()
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
	shown := map[string]bool{}  // what Slack shows, by the references that it gave
	for _, m := range far.slack.Messages(testChannel) {
		shown[testChannel+"/"+m.TS] = true
	}
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
			why = untold(t, store, shown, d.Incident)
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
func untold(t *testing.T, store *sqlite.Store, shown map[string]bool, id string) string {
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
		if telling.Notifier == "pager" {
			if !pagerKnows(inc, deliveries) {
				return "nobody was paged for " + id
			}
		} else if why := unshown(shown, inc, deliveries); why != "" {
			return why
		}
	}
	return ""
}

// pagerKnows reports whether PagerDuty took an alarm, or had none to take because
// the incident was over before the first attempt.
func pagerKnows(inc incident.Incident, deliveries []incident.Delivery) bool {
	for _, d := range deliveries {
		over := inc.State == incident.Resolved && d.State == incident.Dropped
		if d.Notifier == "pager" && d.Kind.Alarms() && (d.State == incident.Sent || over) {
			return true
		}
	}
	return false
}

// unshown says what Slack lacks of an incident: the message itself, or in it
// what has come since, because an event that joined is told by an edit.
// Deliveries are newest first.
func unshown(shown map[string]bool, inc incident.Incident, deliveries []incident.Delivery) string {
	current, posted := false, false
	newest := true
	for _, d := range deliveries {
		if d.Notifier != "ops" || d.State != incident.Sent {
			continue
		}
		if shows := d.Kind == incident.Update || d.Ref != ""; shows && newest {
			newest = false
			current = d.Snapshot.Open == inc.OpenMembers() && d.Snapshot.State == inc.State
		}
		posted = posted || shown[d.Ref]
	}
	switch {
	case !posted:
		return "Slack has no message of " + inc.ID
	case !current:
		return fmt.Sprintf("Slack's message of %s is out of date: %d are open", inc.ID, inc.OpenMembers())
	}
	return ""
}

// checkPages holds PagerDuty's alerts against the incidents: one open alert per
// alarm of an open incident, none for a resolved one, none doubled, and no
// resolve before its trigger.
func checkPages(t *testing.T, store *sqlite.Store, far *farSide) {
	t.Helper()
	opened, open := map[string]int{}, map[string]int{}
	first := map[string]time.Time{}
	for _, a := range far.pager.Alerts() {
		if opened[a.DedupKey]++; opened[a.DedupKey] == 1 {
			first[a.DedupKey] = a.History[0].At
		}
		if a.State != standin.Resolved {
			open[a.DedupKey]++
		}
	}
	if len(opened) == 0 {
		t.Error("PagerDuty was never told anything")
	}
	for key, n := range opened {
		id, alarm, anew := strings.Cut(key, "#")
		inc, err := store.Incident(t.Context(), id)
		if err != nil {
			t.Errorf("PagerDuty has an alert %s without an incident: %v", key, err)
			continue
		}
		if n > 1+len(inc.Reopenings) {
			t.Errorf("alert %s was opened %d times, its incident came back %d times", key, n, len(inc.Reopenings))
		}
		number := 1
		if anew {
			if number, err = strconv.Atoi(alarm); err != nil {
				t.Errorf("alert %s: %v", key, err)
			}
		}
		want := 0
		if telling := inc.Telling("pager"); inc.State == incident.Open && telling != nil && number <= telling.Alarms {
			want = 1
		}
		if open[key] != want {
			t.Errorf("alert %s is open %d times, want %d: its incident is %s", key, open[key], want, inc.State)
		}
	}
	for _, dropped := range far.pager.Dropped() {
		if at, triggered := first[dropped.DedupKey]; !triggered || dropped.At.Before(at) {
			t.Errorf("a %s of %s came before any trigger\n%s", dropped.Action, dropped.DedupKey, pagerStory(t, store, dropped.DedupKey))
		}
	}
}

// pagerStory tells all that was sent to the pager of an incident, oldest first.
func pagerStory(t *testing.T, store *sqlite.Store, key string) string {
	t.Helper()
	id, _, _ := strings.Cut(key, "#")
	deliveries, err := store.Deliveries(t.Context(), incident.Filter{Incident: id, Notifier: "pager", Limit: 1000})
	if err != nil {
		return err.Error()
	}
	var story strings.Builder
	for _, d := range slices.Backward(deliveries) {
		fmt.Fprintf(&story, "%s %s #%d %s, queued %s, %d attempts from %s, settled %s, unclear %v, %s%s\n", d.ID, d.Kind, d.Alarm, d.State,
			d.QueuedAt.Format(time.StampMicro), d.Attempts, d.FirstTry.Format(time.StampMicro), d.SettledAt.Format(time.StampMicro), d.Unclear, d.Answer, d.Error)
	}
	return story.String()
}

// checkRepeats counts what Slack got twice: a call whose answer was lost may be
// repeated, and then says so.
func checkRepeats(t *testing.T, far *farSide) (repeats int) {
	t.Helper()
	posted := map[string]int{}
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
	return repeats
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
