package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

var silencedAt = time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC)

// quietRoom is a silencer over a store of its own, with a clock.
type quietRoom struct {
	*silencer
	t       *testing.T
	store   *sqlite.Store
	cfg     *config.Config
	now     time.Time
	changes int
	fails   error
}

func newQuietRoom(t *testing.T) *quietRoom {
	t.Helper()
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
	cfg, err := config.Load(path, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := &quietRoom{t: t, cfg: cfg, now: silencedAt}
	if q.store, err = sqlite.Open(t.Context(), cfg.Store, sqlite.Options{Now: func() time.Time { return q.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.store.Close() })
	q.silencer = newSilencer(q.store, silencerOptions{
		Check:   func(s incident.Silence) error { return checkSilence(cfg, s) },
		File:    func() []incident.Silence { return fileSilences(cfg) },
		Changed: func(context.Context) error { q.changes++; return q.fails },
	})
	return q
}

func quietFor(span time.Duration, match map[string]any) incident.Silence {
	return incident.Silence{Match: match, Until: silencedAt.Add(span), Why: "maintenance"}
}

func (q *quietRoom) add(s incident.Silence) incident.Silence {
	q.t.Helper()
	kept, err := q.AddSilence(q.t.Context(), s, "ana")
	if err != nil {
		q.t.Fatal(err)
	}
	return kept
}

func (q *quietRoom) standing() string {
	q.t.Helper()
	list, err := q.Standing(q.t.Context())
	if err != nil {
		q.t.Fatal(err)
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, " ")
}

func TestRouting23ASilenceIsKeptWithItsLineOfTheRecord(t *testing.T) {
	t.Parallel()
	q := newQuietRoom(t)
	ctx := t.Context()
	a := q.add(quietFor(time.Hour, map[string]any{"partner.id": "par_1"}))
	b := q.add(quietFor(2*time.Hour, map[string]any{"type": "mdn.*"}))
	if a.ID == b.ID || !strings.HasPrefix(a.ID, "sl_") || len(a.ID) > 12 || a.By != "ana" || !a.From.Equal(silencedAt) || q.changes != 2 {
		t.Errorf("kept %+v and %+v after %d changes", a, b, q.changes)
	}
	if got := q.standing(); got != a.ID+" "+b.ID {
		t.Errorf("standing: %s", got)
	}
	if err := q.ExpireSilence(ctx, a.ID, "bob", "done"); err != nil {
		t.Error(err)
	}
	if got := q.standing(); got != b.ID || q.changes != 3 {
		t.Errorf("standing after the end of one: %s (%d changes)", got, q.changes)
	}
	q.now = q.now.Add(2 * time.Hour)
	if got := q.standing(); got != "" {
		t.Errorf("standing after the end of all: %s", got)
	}
	lines, err := q.store.Audit(ctx, incident.Filter{})
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines of the record (%v), want 3", len(lines), err)
	}
	for k, want := range []string{
		"bob silence.expired " + a.ID + " done would have ended at 2026-11-26T12:00:00Z",
		"ana silence.added " + b.ID + ` maintenance from 2026-11-26T11:00:00Z until 2026-11-26T13:00:00Z: {"type":"mdn.*"}`,
		"ana silence.added " + a.ID + ` maintenance from 2026-11-26T11:00:00Z until 2026-11-26T12:00:00Z: {"partner.id":"par_1"}`,
	} {
		if l := lines[k]; fmt.Sprint(l.Actor, " ", l.Action, " ", l.Subject, " ", l.Why, " ", l.Result) != want {
			t.Errorf("line %+v, want %s", l, want)
		}
	}
}

func TestRouting23ASilenceThatMakesNoSenseIsNotKept(t *testing.T) {
	t.Parallel()
	q := newQuietRoom(t)
	partner := map[string]any{"partner.id": "par_1"}
	late := quietFor(3*time.Hour, partner)
	late.From = silencedAt.Add(3 * time.Hour)
	mute := quietFor(time.Hour, partner)
	mute.Why = " "
	wordy := quietFor(time.Hour, partner)
	wordy.Why = strings.Repeat("x", 1001)
	endless := quietFor(2*time.Hour, partner)
	endless.From = time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)
	endless.Until = endless.From.Add(2 * time.Hour)
	for want, s := range map[string]incident.Silence{
		"name at least one field":         quietFor(time.Hour, nil),
		"may have 4096 bytes":             quietFor(time.Hour, map[string]any{"type": strings.Repeat("x", 5000)}),
		"say why":                         mute,
		"why: may have 1000":              wordy,
		"must be after its beginning":     quietFor(-time.Hour, partner),
		"after its beginning, 2026-11-26": late,
		"after the year 9999":             endless,
		"366 days":                        quietFor(367*24*time.Hour, partner),
		"match.data.status: a silence":    quietFor(time.Hour, map[string]any{"data.status": "x"}),
		`did you mean "partner.id"`:       quietFor(time.Hour, map[string]any{"partner.idd": "x"}),
		"match.type":                      quietFor(time.Hour, map[string]any{"type": map[string]any{"regex": "("}}),
	} {
		if _, err := q.AddSilence(t.Context(), s, "ana"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
	}
	if q.standing() != "" || q.changes != 0 {
		t.Errorf("kept all the same: %s, %d changes", q.standing(), q.changes)
	}
}

func TestRouting23ASilenceEndsOnceAndOneOfTheFileThere(t *testing.T) {
	t.Parallel()
	q := newQuietRoom(t)
	q.cfg.Silences = []routing.Silence{{ID: "planned", Match: routing.Match{"type": "mdn.*"}, Until: event.Moment{Time: silencedAt.Add(time.Hour)}}}
	a := q.add(quietFor(time.Minute, map[string]any{"partner.id": "par_1"}))
	b := q.add(quietFor(time.Hour, map[string]any{"partner.id": "par_2"}))
	if err := q.ExpireSilence(t.Context(), b.ID, "bob", "done"); err != nil {
		t.Error(err)
	}
	q.now = q.now.Add(time.Minute)
	for id, want := range map[string]string{"planned": "remove it there", a.ID: "ended at 2026-11-26T11:01:00Z", b.ID: "was ended by bob"} {
		if err := q.ExpireSilence(t.Context(), id, "ana", "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
	if err := q.ExpireSilence(t.Context(), "sl_0", "ana", "x"); !errors.Is(err, event.ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestSilencesThatTheRulesDoNotKnowOfAreNamed(t *testing.T) {
	t.Parallel()
	q := newQuietRoom(t)
	q.fails = errors.New("no rules")
	if _, err := q.AddSilence(t.Context(), quietFor(time.Hour, map[string]any{"partner.id": "par_1"}), "ana"); err == nil || !strings.Contains(err.Error(), "is kept, but") {
		t.Errorf("got %v", err)
	}
	if q.standing() == "" {
		t.Error("it was not kept")
	}
}

func TestSilencesAreBounded(t *testing.T) {
	t.Parallel()
	q := newQuietRoom(t)
	var p incident.Plan
	for n := range maxSilences {
		s := quietFor(time.Hour, map[string]any{"partner.id": "par_1"})
		s.ID, s.From = fmt.Sprint("sl_", n), silencedAt
		p.Silences = append(p.Silences, s)
	}
	if err := q.store.Apply(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := q.AddSilence(t.Context(), quietFor(time.Hour, map[string]any{"partner.id": "par_1"}), "ana"); err == nil || !strings.Contains(err.Error(), "500 silences") {
		t.Errorf("one more: %v", err)
	}
}

func TestAMatchOfTheCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ flags, want, text string }{
		{"partner.id=par_7h2k9", `{"partner.id":"par_7h2k9"}`, "partner.id=par_7h2k9"},
		{"partner.id=006922827", `{"partner.id":"006922827"}`, "partner.id=006922827"},
		{"type=mdn.*;partner.id=a;partner.id=b;partner.id=c", `{"partner.id":["a","b","c"],"type":"mdn.*"}`, "partner.id=a|b|c type=mdn.*"},
		{"transaction.amount>=10.50;transaction.amount<20", `{"transaction.amount":{"gte":10.50,"lt":20}}`, "transaction.amount>=10.50 transaction.amount<20"},
		{"type!=mdn.*;mdn.late=true", `{"mdn.late":true,"type":{"not":"mdn.*"}}`, "mdn.late=true type!=mdn.*"},
		{"partner.name=a=b", `{"partner.name":"a=b"}`, "partner.name=a=b"},
		{"partner.name= Acme Ltd ", `{"partner.name":"Acme Ltd"}`, "partner.name=Acme Ltd"},
		{"", "", ""}, {"partner.id", "", ""}, {"=x", "", ""}, {"transaction.amount=lots", "", ""}, {`transaction.amount="1"`, "", ""},
		{"mdn.late=perhaps", "", ""}, {"type=a;type!=b", "", ""}, {"type!=a;type=b", "", ""}, {"type!=a;type!=b", "", ""},
		{"type=a;type=b;type!=c", "", ""},
	} {
		var flags []string
		if tt.flags != "" {
			flags = strings.Split(tt.flags, ";")
		}
		match, err := matchOf(flags)
		if tt.want == "" {
			var usage usageError
			if !errors.As(err, &usage) {
				t.Errorf("%q: %v, %v, want a usage error", tt.flags, match, err)
			}
			continue
		}
		got, jsonErr := json.Marshal(match)
		if err != nil || jsonErr != nil || string(got) != tt.want || matchText(match) != tt.text {
			t.Errorf("%q: %s, written as %q (%v), want %s and %q", tt.flags, got, matchText(match), err, tt.want, tt.text)
		}
	}
}

func TestTheTimesOfASilence(t *testing.T) {
	t.Parallel()
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	f := face{chicago, silencedAt}
	for _, tt := range []struct{ span, from, until, wantFrom, wantUntil string }{
		{"2h", "", "", "0001-01-01T00:00:00Z", "2026-11-26T13:00:00Z"},
		{"1d", "2026-12-01 06:00", "", "2026-12-01T12:00:00Z", "2026-12-02T12:00:00Z"},
		{"", "", "2026-12-01 06:00 Europe/Berlin", "0001-01-01T00:00:00Z", "2026-12-01T05:00:00Z"},
		{"", "", "2026-12-01T06:00:00Z", "0001-01-01T00:00:00Z", "2026-12-01T06:00:00Z"},
		{"", "", "", "", ""}, {"2h", "", "2026-12-01 06:00", "", ""}, {"2", "", "", "", ""}, {"", "", "tomorrow", "", ""},
		{"", "", "2027-03-14 02:30", "", ""}, // the clocks jump over it
	} {
		w, err := wantedSilence([]string{"type=x"}, tt.span, tt.from, tt.until, "why", f)
		var usage usageError
		switch {
		case tt.wantUntil == "" && !errors.As(err, &usage):
			t.Errorf("%+v: %v, want a usage error", tt, err)
		case tt.wantUntil != "" && (err != nil || w.From.UTC().Format(time.RFC3339) != tt.wantFrom || w.Until.UTC().Format(time.RFC3339) != tt.wantUntil):
			t.Errorf("%+v: from %s until %s (%v)", tt, w.From, w.Until, err)
		}
	}
}

// silenceLine runs one command line of `silence` on a configuration.
func silenceLine(t *testing.T, path string, args ...string) outcome {
	t.Helper()
	var out, errs strings.Builder
	c := &cli{streams: streams{in: strings.NewReader(""), out: &out, err: &errs}, configPath: path, output: "table", logFormat: "text", logLevel: "error"}
	cmd := c.silenceCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	code := exitOK
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		code = exitFailed
		errs.WriteString(err.Error())
	}
	return outcome{out.String(), errs.String(), code}
}

// keptStore makes the store that serve would, and lets it go.
func keptStore(t *testing.T, path string) *config.Config {
	t.Helper()
	cfg, err := config.Load(path, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Store.SQLite.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), cfg.Store, sqlite.Options{})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
