package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

var update = flag.Bool("update", false, "renew the golden files")

// golden compares what a command printed with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "explain", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

var (
	someID   = regexp.MustCompile(`\b(ev|in|dl|rn)_[0-9a-v]{13}\b`)
	someHash = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
)

// explains prints an account as `explain ID` does, with ids by number.
func (r *rehearsal) explains(id string) string {
	r.t.Helper()
	ctx := context.Background()
	a := newAccount(r.cfg, time.Now())
	gather := a.ofEvent
	if strings.HasPrefix(id, "in_") {
		gather = a.ofIncident
	}
	if err := gather(ctx, r.store, id); err != nil {
		r.t.Fatal(err)
	}
	if err := a.retrace(ctx, decidedBy(r.cfg, nil, nil)); err != nil {
		r.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := a.write(&out); err != nil {
		r.t.Fatal(err)
	}
	return someHash.ReplaceAllString(numbered(out.String()), "HASH")
}

// numbered replaces ids by their kind and the order in which they come up; what
// is left of each line keeps its place.
func numbered(text string) string {
	seen := map[string]string{}
	return someID.ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("%s%0*d", id[:3], len(id)-3, len(seen)+1)
		}
		return seen[id]
	})
}

// verdictOf is the first line.
func (r *rehearsal) verdictOf(id string) string {
	line, _, _ := strings.Cut(r.explains(id), "\n")
	return line
}

func (r *rehearsal) wantsVerdict(id, want string) {
	r.t.Helper()
	if got := r.verdictOf(id); got != want {
		r.t.Errorf("verdict\n %q, want\n %q", got, want)
	}
}

// narrow reports lines that do not fit a terminal.
func narrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 130 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

const explainedRules = `
defaults: {notify: [ops], time_zone: America/Chicago}
rules:
  - name: page-ship-notices
    match: {type: transaction.failed, transaction.document_type: ["856", "204"]}
    severity: critical
    notify: [pager, ops]
    escalate: [{after: 15m, unless: acknowledged, notify: [lead]}]
  - name: gathered
    match: {transaction.document_type: "810"}
    notify: [ops]
    group: {wait: 15m}
  - name: trial-runs
    match: {partner.id: par_trial}
    drop: true
    why: we test with them
  - name: large
    match: {transaction.document_type: "850"}
    when: transaction.amount >= 10000
    severity: critical
    notify: [pager]
`

func TestRouting39TheVerdictSaysWhetherSomebodyWasPaged(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		start := time.Now()
		paged := r.failed("txn_1", "/created_at", start)
		r.wantsVerdict(paged, "PAGED pager at 09:00 (accepted), at once; posted ops at 09:00")
		r.pass(10 * time.Minute)
		joined := r.failed("txn_2")
		r.wantsVerdict(joined, "NOT PAGED: joined in_0000000000001, of which pager, ops knew since 09:00; what was sent is edited")
		settled := r.delivered("txn_1")
		r.wantsVerdict(settled, "SETTLED one of in_0000000000001: 1 of 2 still open")
		over := r.delivered("txn_2")
		r.wantsVerdict(over, "SETTLED in_0000000000001, resolved 09:10: pager, ops told of the end")
		r.wantsVerdict(paged, "PAGED pager at 09:00 (accepted), at once; posted ops at 09:00; delivered 09:10")
		r.wantsVerdict(r.failed("txn_1", "/created_at", start),
			"NOT PAGED: outdated, transaction.delivered was seen for it, of 2026-03-10 14:10:04Z: newer than this; nothing was opened")
		r.wantsVerdict(r.failed("txn_3", "/created_at", start.Add(-13*time.Hour), "partner.id", "par_2"),
			"NOT PAGED: old news, it arrived 13 h 10 min after it happened; summarised for defaults.notify")
		r.wantsVerdict(r.failed("txn_4", "attempt.number", 1, "attempt.final", false),
			"NOT PAGED: more attempts are scheduled, and defaults.retrying_alert is not set; nobody is told")
		r.wantsVerdict(r.failed("txn_5", "partner.id", "par_trial", "transaction.document_type", "846"),
			"NOT PAGED: dropped by trial-runs (line 30): we test with them")
		r.wantsVerdict(r.delivered("txn_9"), "NOT PAGED: it settles nothing that is open; stored, not sent")
		r.wantsVerdict(r.failed("txn_6", "partner.id", "par_3", "transaction.document_type", "846"),
			"POSTED ops at 09:10, at once; no rule pages")
	})
}

func TestRouting39TheVerdictSaysWhatATellingWaitsFor(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		waiting := r.failed("txn_1", "transaction.document_type", "810")
		r.wantsVerdict(waiting, "NOT PAGED YET: gathers until 09:15:00 (group.wait), then tells ops")
		r.pass(3 * time.Minute)
		r.delivered("txn_1")
		r.wantsVerdict(waiting, "NOT PAGED: over before group.wait had passed; delivered 09:03")

		r.source = "trial"
		r.wantsVerdict(r.failed("txn_2"), "NOT PAGED: a sandbox event never pages; posted ops at 09:03")
		r.source, r.unsigned = "datasync", true
		r.wantsVerdict(r.failed("txn_3"), "NOT PAGED: an event of an unauthenticated source never pages; posted ops at 09:03")
	})
}

func TestRouting39ExplainTellsTheWholeStory(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		first := r.failed("txn_1", "transaction.document_name", "shipment", "error.code", "CONNECTION_TIMEOUT", "error.message", "no response within 60s")
		r.pass(20 * time.Minute)
		second := r.failed("txn_2")
		open := r.explains(first)
		golden(t, "open", open)
		narrow(t, open)
		golden(t, "joined", r.explains(second))
		r.delivered("txn_1")
		r.delivered("txn_2")
		r.pass(time.Hour)
		golden(t, "over", r.explains(r.incidents()[0].ID))
	})
}

// held is an account of an invoice that a window, or something else, holds.
func heldAccount(h incident.Held, resolved bool) *account {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		panic(err)
	}
	at := func(text string) time.Time {
		t, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			panic(err)
		}
		return t
	}
	arrived := at("2026-11-28 02:31") // a Saturday
	h.Since, h.Until = arrived, at("2026-11-30 08:00")
	if h.Kind == incident.HeldByCause {
		h.Until = time.Time{}
	}
	h.Owes = incident.Opening
	inc := &incident.Incident{ID: "in_1", State: incident.Open, OpenedAt: arrived, Total: 1, Told: []incident.Telling{{Notifier: "ops", Held: &h}}}
	inc.OpenBy[event.Error] = 1
	a := &account{
		face: face{zone, at("2026-11-28 10:00")}, traits: map[string]incident.Notifier{"pager": {Name: "pager", Pager: true}, "ops": {Name: "ops"}},
		event: &event.Stored{ID: "ev_1", State: event.Planned, Received: event.Received{ReceivedAt: arrived}}, inc: inc,
		decision: incident.Decision{
			At: arrived, Outcome: incident.Opened, Incident: "in_1", Type: "transaction.failed",
			Rules:     []incident.MatchedRule{{Name: "small-invoices", Line: 63}},
			Notifiers: []incident.Routed{{Notifier: "ops", By: []string{"small-invoices"}}},
			Held:      []incident.HeldRouted{{Notifier: "ops", Held: h}},
		},
	}
	if resolved {
		inc.State, inc.Resolution, inc.ResolvedAt, inc.OpenBy = incident.Resolved, incident.Recovered, at("2026-11-28 02:41"), [5]int{}
		inc.Told[0].Held = nil
		a.timeline = []incident.Entry{{Kind: "settled", Text: "txn:txn_1 settled by transaction.delivered"}}
	}
	return a
}

func TestRouting23TheVerdictNamesWhatHeldIt(t *testing.T) {
	for _, tt := range []struct {
		held     incident.Held
		resolved bool
		want     string
		next     string
	}{
		{incident.Held{Kind: incident.HeldByWindow, By: "business"}, true,
			"NOT PAGED: small-invoices (line 63) held until Mon 08:00; delivered 02:41", ""},
		{incident.Held{Kind: incident.HeldByWindow, By: "business"}, false,
			"NOT PAGED: small-invoices (line 63) held until Mon 08:00", "calendar business opens: ops is told what is still open"},
		{incident.Held{Kind: incident.HeldByDigest, By: "morning"}, false,
			"NOT PAGED: small-invoices (line 63) left to digest morning until Mon 08:00", "digest morning tells ops what is still open"},
		{incident.Held{Kind: incident.HeldBySilence, By: "moving"}, false,
			"NOT PAGED: silence moving holds it until Mon 08:00", "silence moving ends: ops is told what is still open"},
		{incident.Held{Kind: incident.HeldByCause, By: "in_9"}, false,
			"NOT PAGED: in_9 explains it", "once in_9 is over, ops is told what is still open"},
	} {
		a := heldAccount(tt.held, tt.resolved)
		if got := a.verdict(); got != tt.want {
			t.Errorf("verdict\n %q, want\n %q", got, tt.want)
		}
		got := ""
		if next := a.next(); len(next) > 0 {
			got = next[0].What
		}
		if got != tt.next {
			t.Errorf("next %q, want %q", got, tt.next)
		}
	}
}

func TestATimeIsReadAsPeopleTypeIt(t *testing.T) {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	f := face{zone, time.Date(2026, 11, 26, 9, 0, 0, 0, zone)}
	for text, want := range map[string]string{
		"2026-11-26 02:40":          "2026-11-26T02:40:00-06:00",
		"2026-11-26":                "2026-11-26T00:00:00-06:00",
		"02:40":                     "2026-11-26T02:40:00-06:00",
		"22:40":                     "2026-11-25T22:40:00-06:00",
		"2026-11-26 02:40 UTC":      "2026-11-26T02:40:00Z",
		"2026-11-26T02:40:00+01:00": "2026-11-26T02:40:00+01:00",
	} {
		if at, err := f.moment("--at", text); err != nil || at.Format(time.RFC3339) != want {
			t.Errorf("%q is %s, %v; want %s", text, at.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01", "25:00"} {
		if _, err := f.moment("--at", text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", 300 * time.Millisecond: "under 1 s", 59 * time.Second: "59 s", 61 * time.Minute: "1 h 1 min", 24 * time.Hour: "24 h", 49 * time.Hour: "2 d 1 h",
	} {
		if got := spoken(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestRouting39TheVerdictTellsOfPagesThatWereNotAccepted(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 503} })
		slow := r.failed("txn_1")
		if got := r.verdictOf(slow); !strings.HasPrefix(got, "NOT PAGED YET: pager has not accepted it (") || !strings.Contains(got, "next try 09:00; posted ops at 09:00") {
			t.Errorf("verdict %q", got)
		}
		r.pass(5 * time.Minute)
		text := r.explains(slow)
		for _, want := range []string{"fallback", "the opening to pager is tried again"} {
			if !strings.Contains(text, want) {
				t.Errorf("it does not say %q:\n%s", want, text)
			}
		}
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 400} })
		r.pass(2 * time.Minute)
		if got := r.verdictOf(slow); !strings.HasPrefix(got, "NOT PAGED: pager did not accept it (") || !strings.Contains(got, ", given up at 09:0") {
			t.Errorf("verdict %q", got)
		}
		if text := r.explains(slow); !strings.Contains(text, "nothing sends the opening to pager again by itself: `deliveries retry dl_") {
			t.Errorf("it does not say what to do:\n%s", text)
		}
		r.pager.SetFaults(nil)
		r.pass(15 * time.Minute)
		if got := r.verdictOf(slow); !strings.HasPrefix(got, "PAGED lead at 09:15 (accepted), 15 min after the event; posted ops at 09:00; NOT PAGED pager: ") {
			t.Errorf("verdict %q", got)
		}
	})
}

func TestRouting39TheVerdictTellsOfWhatWasNeverPlanned(t *testing.T) {
	now := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	for want, st := range map[string]event.Stored{
		"PARKED after 3 failed plans: defaults.notify was told; the event is kept":                {State: event.Parked, Failures: 3},
		"PENDING: accepted 4 s ago and kept; serve has not planned it yet":                        {State: event.Pending, Received: event.Received{ReceivedAt: now.Add(-4 * time.Second)}},
		"NOT PAGED: quarantined, because the body is no JSON; kept, and told to nobody as a note": {State: event.Planned, Received: event.Received{Quarantine: "the body is no JSON"}},
	} {
		a := &account{face: face{time.UTC, now}, event: &st}
		if got := a.verdict(); got != want {
			t.Errorf("verdict %q, want %q", got, want)
		}
	}
}

func TestRouting39ExplainSaysWhereTheRulesNoLongerSayWhatWasRecorded(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		id := r.failed("txn_1")
		st, err := r.store.Event(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		other := strings.ReplaceAll(explainedRules, "severity: critical", "severity: warning")
		r.load(andLead + strings.ReplaceAll(other, "notify: [pager, ops]", "notify: [ops]"))
		if text := r.explains(id); !strings.Contains(text, "Rules that matched, as recorded") || !strings.Contains(text, "✓  page-ship-notices (line 21)") {
			t.Errorf("of a configuration that is not kept it does not show the recorded names:\n%s", text)
		}
		var recorded incident.Decision
		if err := json.Unmarshal(st.Decision, &recorded); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		c := &cli{streams: streams{out: &out}, output: "table"}
		if err := c.evaluate(r.cfg, st, &recorded); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Beside what was recorded on Tue 2026-03-10 09:00:00 CDT", "tells: recorded pager, ops, now ops", "severity: recorded critical, now warning"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("--with does not say %q:\n%s", want, out.String())
			}
		}
	})
}
